//! Measures rows per second and memory of the loader on a table of token ids, and of the teacher store on a teacher's
//! features: one measurement per process.
//!
//! `cargo xtask bench data` calls it and draws the tables. `make` writes synthetic token ids; `read`
//! iterates over them; `store` writes or reads features. The latter two print one line of JSON.

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
        /// An Arrow IPC file, or Parquet if the name ends with `.parquet`.
        file: PathBuf,
        /// Approximate size as an Arrow IPC file, in megabytes of 10^6 bytes.
        #[arg(long, default_value_t = 100)]
        megabytes: u64,
    },
    /// Iterates over a table and prints what it measured as JSON.
    Read {
        /// What `make` wrote.
        file: PathBuf,
        /// The order of its rows.
        #[arg(long, value_enum, default_value_t = read::Way::Sequential)]
        way: read::Way,
        /// Rows per batch.
        #[arg(long, default_value_t = 32)]
        batch: usize,
        /// Threads that make batches.
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Stops once N seconds have passed.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Writes or reads a teacher store and prints what it measured as JSON.
    Store {
        /// The store's folder.
        folder: PathBuf,
        /// What is stored from a teacher.
        #[arg(long, value_enum)]
        kept: store::Kept,
        /// What is done with it.
        #[arg(long, value_enum)]
        turn: store::Turn,
        /// Rows.
        #[arg(long, default_value_t = 2048)]
        rows: u64,
        /// Rows per batch.
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
