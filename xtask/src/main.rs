//! The doors of `cargo xtask`: one sub-command a thing that a person or the continuous integration
//! does with the whole repository.
//!
//! It needs Rust alone to build, so that it can say what else is missing before anything is fetched.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod bench;
mod demo;
mod failure;
mod layout;
mod libtorch;
mod machine;
mod model;
mod page;
mod process;
mod python;
mod sentiment;
mod setup;
mod tally;
mod test;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, demo, tests and benchmarks of brew.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lays out libtorch and the pretrained model in `.brew`, unless they are there.
    Setup,
    /// Sets up, then runs every test: unit, integration, documentation and compile-fail.
    Test,
    /// Sets up, then distils a sentiment classifier on the movie reviews and shows a table.
    Demo {
        /// Passed on to `sentiment`; each wins over the demo's own choice.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures, on the full data, what the README claims.
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// One teacher, then plain and distilled students of three seeds: a table of accuracies.
    Accuracy {
        /// Forget the reports of earlier runs; without it an interrupted bench goes on.
        #[arg(long)]
        fresh: bool,
        /// Passed on to every run of `sentiment`, after `--fresh`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The loader on synthetic token ids: rows per second and memory, beside Python's loader where
    /// BREW_PYTHON (or else python3) has `datasets` and PyTorch. Then the teacher store.
    Data {
        /// Also measure the memory of a table of so many gigabytes; it is made and removed again.
        #[arg(long)]
        gigabytes: Option<u64>,
        /// Seconds a measurement.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// The parts of a training step, in float32 and bfloat16, beside plain PyTorch where BREW_PYTHON (or else
    /// python3) has it with transformers.
    Step {
        /// Steps a measurement.
        #[arg(long, default_value_t = 30)]
        steps: u64,
        /// Steps before them.
        #[arg(long, default_value_t = 5)]
        warm_up: u64,
        /// One precision alone.
        #[arg(long, value_parser = bench::step::PRECISIONS)]
        precision: Option<String>,
        /// Threads of libtorch, and of PyTorch.
        #[arg(long, default_value_t = 2)]
        threads: u64,
    },
    /// brew against TextBrewer on the movie reviews, where BREW_PYTHON has it or pip can fetch it. Leave the
    /// machine alone meanwhile.
    Race {
        /// Runs of each side whose accuracies are averaged.
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        /// Epochs.
        #[arg(long, default_value_t = 3)]
        epochs: u64,
        /// Only so many reviews, spread evenly.
        #[arg(long)]
        rows: Option<u64>,
        /// Threads of each side.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Forget the reports of earlier runs; without it an interrupted race goes on.
        #[arg(long)]
        fresh: bool,
    },
    /// Time of a token and memory over lengths, batches, layers and rows of synthetic data, beside plain PyTorch
    /// where BREW_PYTHON (or else python3) has it with transformers: tables, and pictures for the documentation.
    Growth {
        /// Steps a measurement.
        #[arg(long, default_value_t = 5)]
        steps: u64,
        /// Steps before them.
        #[arg(long, default_value_t = 2)]
        warm_up: u64,
        /// Threads of libtorch, and of PyTorch.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Forget the reports of earlier runs; without it an interrupted bench goes on.
        #[arg(long)]
        fresh: bool,
        /// The folder of the pictures; the repository's docs/images unless this is said.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::command(),
        Command::Test => test::command(),
        Command::Demo { arguments } => demo::command(&arguments),
        Command::Bench { bench: Bench::Accuracy { fresh, arguments } } => {
            bench::accuracy::command(fresh, &arguments)
        }
        Command::Bench { bench: Bench::Data { gigabytes, seconds } } => {
            bench::data::command(gigabytes, seconds)
        }
        Command::Bench { bench: Bench::Step { steps, warm_up, precision, threads } } => {
            bench::step::command(precision.as_deref(), [steps, warm_up, threads])
        }
        Command::Bench { bench: Bench::Race { seeds, epochs, rows, threads, fresh } } => {
            bench::race::command(bench::race::Asked { seeds, epochs, rows, threads, fresh })
        }
        Command::Bench { bench: Bench::Growth { steps, warm_up, threads, fresh, out } } => {
            bench::growth::command(&bench::growth::Asked { steps, warm_up, threads, fresh, out })
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
