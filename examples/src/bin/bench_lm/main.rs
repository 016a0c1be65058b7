//! Measures language models: the parts of a training step, and generation, one measurement per process.
//!
//! `cargo xtask bench lm` calls it and draws tables beside PyTorch. The program prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod generation;
mod step;

use std::path::PathBuf;

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use clap::{Parser, Subcommand};

/// Measures language models.
#[derive(Debug, Parser)]
#[command(name = "bench_lm")]
struct Arguments {
    /// What is measured.
    #[command(subcommand)]
    what: What,
    /// Threads of libtorch [default: all cores].
    #[arg(long, global = true)]
    threads: Option<i32>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A training step: a student of some of the teacher's layers learns from the teacher and from the tokens.
    Step(step::Arguments),
    /// Generation: a batch of prompts, greedily.
    Generate(generation::Arguments),
    /// Saves a model as a Hugging Face folder, which PyTorch reads.
    Convert {
        /// The model's folder or GGUF file.
        #[arg(long)]
        model: PathBuf,
        /// The folder to write.
        #[arg(long)]
        to: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(threads) = arguments.threads {
        brew_core::tch::set_num_threads(threads);
    }
    let report = match arguments.what {
        What::Step(arguments) => step::measured(&arguments)?,
        What::Generate(arguments) => generation::measured(&arguments)?,
        What::Convert { model, to } => {
            DecoderForCausalLm::from_pretrained(&model, Device::Cpu)?.save(&to)?;
            serde_json::json!({ "folder": to })
        }
    };
    println!("{report}");
    Ok(())
}
