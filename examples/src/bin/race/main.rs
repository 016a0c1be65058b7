//! brew's side of the race against TextBrewer and an expert's PyTorch: each process makes one run and prints what it
//! measured as JSON.
//!
//! `cargo xtask bench race` calls it and draws the table. `start` writes the initial student of all sides, `data`
//! writes the tokens, batches, and learning rates that all sides train with, and `run` distils on the movie reviews.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod clock;
mod data;
mod recipe;
mod run;
mod start;
mod watched;

use std::process::ExitCode;

use brew_core::Result;
use clap::{Parser, Subcommand};

/// Distils on the movie reviews, and prints what it measured as JSON.
#[derive(Debug, Parser)]
#[command(name = "race")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the initial student of all sides: the encoder's first layers and a new head.
    Start(start::Arguments),
    /// Writes the tokens, batches, and learning rates of all sides.
    Data(data::Arguments),
    /// Distils that student from a fine-tuned teacher.
    Run(run::Arguments),
}

fn main() -> ExitCode {
    examples::run(|| -> Result<()> {
        match Arguments::parse().command {
            Command::Start(arguments) => start::run(&arguments)?,
            Command::Data(arguments) => data::run(&arguments)?,
            Command::Run(arguments) => println!("{}", run::run(&arguments)?),
        }
        Ok(())
    })
}
