//! `cargo xtask`: one sub-command for each thing that a person or the continuous integration does with the whole
//! repository.
//!
//! It needs only Rust to build, so it can report what else is missing before anything is downloaded.

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
mod ranks;
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
    /// Puts libtorch and the pretrained models into `.brew`, unless they are there already.
    Setup,
    /// Sets up, then runs every test: unit, integration, documentation and compile-fail.
    Test,
    /// Sets up, then distils a sentiment classifier on the movie reviews and shows a table.
    Demo {
        /// Passed on to `sentiment`; these override the demo's own choices.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Starts a program N times on this machine, as ranks that find each other (`brew_core::ranks`), and shows their
    /// output with their numbers. If one fails, all end, and its exit code is returned.
    Ranks {
        /// How many ranks.
        count: usize,
        /// The program and its arguments, after `--`.
        #[arg(last = true, required = true, value_names = ["PROGRAM", "ARGUMENT"])]
        program: Vec<String>,
    },
    /// Measures what the README claims, on the full data.
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Trains one teacher, then plain and distilled students with three seeds, and prints a table of accuracies.
    Accuracy {
        /// Discards the reports of earlier runs; without this, an interrupted bench resumes.
        #[arg(long)]
        fresh: bool,
        /// Passed on to every run of `sentiment`, after `--fresh`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures rows per second and memory of the loader on synthetic token ids, next to Python's loader if BREW_PYTHON
    /// (or else python3) has `datasets` and PyTorch. Then measures the teacher store.
    Data {
        /// Also measures the memory of a table of N gigabytes, which is created and removed again.
        #[arg(long)]
        gigabytes: Option<u64>,
        /// Seconds per measurement.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Measures the parts of a training step in float32 and bfloat16, next to plain PyTorch if BREW_PYTHON (or else
    /// python3) has it with transformers.
    Step {
        /// Steps per measurement.
        #[arg(long, default_value_t = 30)]
        steps: u64,
        /// Warm-up steps.
        #[arg(long, default_value_t = 5)]
        warm_up: u64,
        /// Only one precision.
        #[arg(long, value_parser = bench::step::PRECISIONS)]
        precision: Option<String>,
        /// Threads of libtorch and of PyTorch.
        #[arg(long, default_value_t = 2)]
        threads: u64,
    },
    /// Measures a training step of a student of SmolLM2, and generation, next to PyTorch by hand, TRL's GKD, and
    /// transformers if BREW_PYTHON (or else python3) has them. Run nothing else meanwhile.
    Lm {
        /// Rows per batch.
        #[arg(long, default_value_t = 8)]
        rows: u64,
        /// Tokens per row.
        #[arg(long, default_value_t = 512)]
        length: u64,
        /// Steps per measurement.
        #[arg(long, default_value_t = 5)]
        steps: u64,
        /// Warm-up steps.
        #[arg(long, default_value_t = 2)]
        warm_up: u64,
        /// New tokens per prompt when generating.
        #[arg(long, default_value_t = 128)]
        new_tokens: u64,
        /// Threads of each side.
        #[arg(long, default_value_t = 2)]
        threads: u64,
    },
    /// Compares a training step on one rank with a step divided among several on this machine, and shows what the ranks
    /// send.
    Ranks {
        /// How many ranks; the rank it is compared with has as many threads.
        #[arg(default_value_t = 2)]
        count: usize,
        /// Steps per measurement.
        #[arg(long, default_value_t = 20)]
        steps: u64,
        /// Warm-up steps.
        #[arg(long, default_value_t = 3)]
        warm_up: u64,
    },
    /// Races brew against TextBrewer and against the loop an expert writes in PyTorch, on the movie reviews.
    ///
    /// With the defaults it takes about two hours on two cores; run nothing else meanwhile. An interrupted race resumes.
    /// `--rows 1600 --epochs 2 --seeds 1` takes about ten minutes. TextBrewer is that of BREW_PYTHON, or downloaded with
    /// pip. The race stops if a side trains without dropout or on other data.
    Race {
        /// Seeds; the table has the medians over them.
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        /// Epochs.
        #[arg(long, default_value_t = 3)]
        epochs: u64,
        /// Only N reviews, spread evenly.
        #[arg(long)]
        rows: Option<u64>,
        /// Threads of each side.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Discards the reports of earlier runs; without this, an interrupted race resumes. Changed code is not noticed.
        #[arg(long)]
        fresh: bool,
    },
    /// Measures time per token and memory for lengths, batches, layers, and rows of synthetic data, next to plain PyTorch
    /// if BREW_PYTHON (or else python3) has it with transformers; prints tables and draws charts for the documentation.
    Growth {
        /// Steps per measurement.
        #[arg(long, default_value_t = 5)]
        steps: u64,
        /// Warm-up steps.
        #[arg(long, default_value_t = 2)]
        warm_up: u64,
        /// Threads of libtorch and of PyTorch.
        #[arg(long, default_value_t = 2)]
        threads: u64,
        /// Discards the reports of earlier runs; without this, an interrupted bench resumes.
        #[arg(long)]
        fresh: bool,
        /// The folder for the charts [default: the repository's docs/images].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::command(),
        Command::Test => test::command(),
        Command::Demo { arguments } => demo::command(&arguments),
        Command::Ranks { count, program } => {
            let (program, arguments) =
                program.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            match ranks::command(count, program, arguments) {
                Ok(code) => return ExitCode::from(code),
                Err(failure) => Err(failure),
            }
        }
        Command::Bench { bench: Bench::Accuracy { fresh, arguments } } => {
            bench::accuracy::command(fresh, &arguments)
        }
        Command::Bench { bench: Bench::Data { gigabytes, seconds } } => {
            bench::data::command(gigabytes, seconds)
        }
        Command::Bench { bench: Bench::Step { steps, warm_up, precision, threads } } => {
            bench::step::command(precision.as_deref(), [steps, warm_up, threads])
        }
        Command::Bench { bench: Bench::Lm { rows, length, steps, warm_up, new_tokens, threads } } => {
            bench::lm::command(&bench::lm::Asked { rows, length, steps, warm_up, new_tokens, threads })
        }
        Command::Bench { bench: Bench::Ranks { count, steps, warm_up } } => {
            bench::ranks::command(count, [steps, warm_up])
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
