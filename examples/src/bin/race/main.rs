//! brew's side of the race against TextBrewer: each process makes one run and prints what it measured as JSON.
//!
//! `cargo xtask bench race` calls it and draws the table. `start` writes the initial student
//! of both sides; `run` distils it on the movie reviews.

#![expect(clippy::print_stdout, reason = "a command-line program talks to its reader")]

mod clock;
mod run;
mod start;

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
    /// Writes the initial student of both sides: the encoder's first layers and a new head.
    Start(start::Arguments),
    /// Distils that student from a fine-tuned teacher.
    Run(run::Arguments),
}

fn main() -> ExitCode {
    examples::run(|| -> Result<()> {
        match Arguments::parse().command {
            Command::Start(arguments) => start::run(&arguments)?,
            Command::Run(arguments) => println!("{}", run::run(&arguments)?),
        }
        Ok(())
    })
}
