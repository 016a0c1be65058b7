//! Language models: a Hugging Face folder or a GGUF file in, JSON out.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

mod distil;
mod generate;
mod score;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs a language model.
#[derive(Debug, Parser)]
#[command(name = "lm")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Cuts layers out of a language model, and lets the whole model teach what is left.
    Distil(distil::Arguments),
    /// Prints how well the model predicts these tokens, and its scores of the token after them.
    Score(score::Arguments),
    /// Continues a prompt, or answers a chat.
    Generate(generate::Arguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    examples::run(|| match command {
        Command::Distil(arguments) => distil::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
    })
}
