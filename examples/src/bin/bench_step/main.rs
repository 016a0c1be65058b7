//! Measures the parts of a training step: the movie-review recipe in the real loop, one measurement per process.
//!
//! `cargo xtask bench step` and `bench growth` call it and draw tables beside plain PyTorch. The program
//! listens to the loop's own `tracing` spans and prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod batches;
mod recipe;
mod synthetic;

use std::path::PathBuf;

use brew_core::prelude::*;
use brew_core::ranks::Ranks;
use clap::Parser;
use examples::{Clock, Sampler};
use serde_json::json;

/// Measures the parts of a training step.
#[derive(Debug, Parser)]
#[command(name = "bench_step")]
struct Arguments {
    /// The encoder that the teacher is made from.
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
    /// Recomputes the activations of the student's layers in the backward pass.
    #[arg(long)]
    gradient_checkpointing: bool,
    /// Rows per batch.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens per row; shorter rows are padded, longer ones truncated.
    #[arg(long, default_value_t = 64)]
    length: usize,
    /// Batches per step, which ranks divide.
    #[arg(long, default_value_t = 1)]
    accumulate: usize,
    /// Layers of the student; the teacher's number of layers must be a multiple.
    #[arg(long, default_value_t = 3)]
    layers: usize,
    /// Measured steps.
    #[arg(long, default_value_t = 30)]
    steps: u64,
    /// Warm-up steps.
    #[arg(long, default_value_t = 5)]
    warm_up: u64,
    /// Threads of libtorch [default: all cores].
    #[arg(long)]
    threads: Option<i32>,
    /// Also writes the batches here, as safetensors, so that another program can train on them.
    #[arg(long)]
    batches: Option<PathBuf>,
    /// Trains on N rows of unpadded synthetic token ids instead of the reviews; also reports the peak of anonymous
    /// memory.
    #[arg(long, value_name = "ROWS")]
    synthetic_rows: Option<u64>,
    /// Layers of the teacher, whose weights are then random.
    #[arg(long, value_name = "LAYERS")]
    teacher_layers: Option<usize>,
    /// Measures nothing: prints `true` if the device is fast at bfloat16, else `false`.
    #[arg(long, exclusive = true)]
    is_fast_at_bf16: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.is_fast_at_bf16 {
        println!("{}", Precision::Auto.on(Device::cuda_if_available()).is_some());
        return Ok(());
    }
    if let Some(threads) = arguments.threads {
        brew_core::tch::set_num_threads(threads);
    }
    // Sampling memory takes time, so the parts of a step are measured without it.
    let sampler = arguments.synthetic_rows.map(|_| Sampler::start());
    let rows = recipe::batches(&arguments)?;
    if let Some(file) = &arguments.batches {
        batches::write(file, &rows, arguments.warm_up + arguments.steps)?;
    }
    let pipeline = recipe::pipeline(&arguments)?;
    let clock = Clock::listen()?;
    let trainer = recipe::trainer(pipeline, &arguments);
    let ranks = Ranks::from_environment()?.map_or(1, |ranks| ranks.world_size());
    let sent = trainer.explain_on(ranks)?.sent;
    trainer.run(rows)?;
    let mut report = clock.report(arguments.warm_up)?;
    report["sent_megabytes"] = json!(sent as f64 / 1e6);
    if let Some(sampler) = sampler {
        report["anonymous_megabytes"] = json!(sampler.finish().0);
    }
    println!("{report}");
    Ok(())
}
