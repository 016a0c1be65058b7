//! Where the time of one training step goes: the movie-review recipe in the real loop, one measurement a
//! process.
//!
//! `cargo xtask bench step` calls it and draws the table beside plain PyTorch. The loop itself says where it
//! is, by its `tracing` spans; this program only listens. It prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod batches;
mod clock;
mod recipe;

use std::path::PathBuf;

use brew_core::prelude::*;
use clap::Parser;

use crate::clock::Clock;

/// Measures the parts of a training step.
#[derive(Debug, Parser)]
#[command(name = "bench_step")]
struct Arguments {
    /// The encoder that the teacher is made of.
    #[arg(long, default_value = ".brew/models/all-MiniLM-L6-v2")]
    minilm: PathBuf,
    /// The reviews.
    #[arg(long, default_value = "data/movie_reviews.parquet")]
    data: PathBuf,
    /// Where the run and the tokens are kept.
    #[arg(long, default_value = "runs/step")]
    run_dir: PathBuf,
    /// Computes in bfloat16.
    #[arg(long)]
    bf16: bool,
    /// Computes the activations of the student's layers again in the backward pass.
    #[arg(long)]
    gradient_checkpointing: bool,
    /// Rows a batch.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens a row; shorter ones are padded, longer ones cut.
    #[arg(long, default_value_t = 64)]
    length: usize,
    /// Layers of the student; those of the teacher are a multiple of it.
    #[arg(long, default_value_t = 3)]
    layers: usize,
    /// Steps that are measured.
    #[arg(long, default_value_t = 30)]
    steps: u64,
    /// Steps before them.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Threads of libtorch; all cores unless this is said.
    #[arg(long)]
    threads: Option<i32>,
    /// Writes the batches here too, as safetensors, for another program to train on the same.
    #[arg(long)]
    batches: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(threads) = arguments.threads {
        brew_core::tch::set_num_threads(threads);
    }
    let reviews = recipe::reviews(&arguments)?;
    if let Some(file) = &arguments.batches {
        batches::write(file, &reviews, arguments.warm_up + arguments.steps)?;
    }
    let pipeline = recipe::pipeline(&arguments)?;
    let clock = Clock::listen()?;
    let trainer = recipe::trainer(pipeline, &arguments);
    trainer.run(reviews)?;
    println!("{}", clock.report(arguments.warm_up)?);
    Ok(())
}
