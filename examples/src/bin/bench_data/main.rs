//! What the loader does with a table of token ids, and the teacher store with a teacher's features: rows a
//! second and memory, one measurement a process.
//!
//! `cargo xtask bench data` calls it and draws the tables. `make` writes synthetic token ids; `read` walks
//! them, `store` writes or reads features, and either prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod make;

mod read;
mod store;

use std::path::PathBuf;

use brew_core::Result;
use clap::{Parser, Subcommand};

/// Measures the loader on synthetic token ids, and the teacher store on synthetic features.
#[derive(Debug, Parser)]
#[command(name = "bench_data")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a table of token ids and prints its rows.
    Make {
        /// An Arrow IPC file, or Parquet where the name ends with `.parquet`.
        file: PathBuf,
        /// Megabytes (of 10^6 bytes) as an Arrow IPC file, about.
        #[arg(long, default_value_t = 100)]
        megabytes: u64,
    },
    /// Walks a table and prints what it measured as JSON.
    Read {
        /// What `make` wrote.
        file: PathBuf,
        /// The order of its rows.
        #[arg(long, value_enum, default_value_t = read::Way::Sequential)]
        way: read::Way,
        /// Rows a batch.
        #[arg(long, default_value_t = 32)]
        batch: usize,
        /// Threads that make batches.
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Stops after the epoch in which so many seconds have passed, or in the middle of one.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Writes or reads a teacher store and prints what it measured as JSON.
    Store {
        /// The store's folder.
        folder: PathBuf,
        /// What is kept of a teacher.
        #[arg(long, value_enum)]
        kept: store::Kept,
        /// What is done with it.
        #[arg(long, value_enum)]
        turn: store::Turn,
        /// Rows.
        #[arg(long, default_value_t = 2048)]
        rows: u64,
        /// Rows a batch.
        #[arg(long, default_value_t = 32)]
        batch: usize,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Make { file, megabytes } => println!("{}", make::table(&file, megabytes)?),
        Command::Read { file, way, batch, workers, seconds } => {
            println!("{}", read::measure(&file, way, batch, workers, seconds)?);
        }
        Command::Store { folder, kept, turn, rows, batch } => {
            println!("{}", store::measure(&folder, kept, turn, rows, batch)?);
        }
    }
    Ok(())
}
