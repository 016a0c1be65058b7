//! Computes one loss of the catalogue, with its gradients, on tensors of a safetensors file, to compare it with another
//! implementation.
//!
//! ```sh
//! loss --list
//! loss --name kd_ce --params '{"temperature": 4}' --inputs in.safetensors --grad out.safetensors
//! ```
//!
//! It prints `{"value": …}` and writes the gradient of each of the student's tensors, and of what the
//! loss learns, under the tensor's key and in its dtype. See [`inputs`] for the keys.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

mod arguments;
mod files;
mod inputs;
mod list;
mod measure;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Arguments, Asked};
use brew_core::Result;
use clap::Parser as _;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.asked()? {
        // The reader of the list may stop early, as `head` does.
        Asked::List => drop(std::io::stdout().write_all(list::text().as_bytes())),
        Asked::Loss { name, options, inputs, gradients } => {
            let measured = measure::measure(&name, &options, files::read(&inputs)?)?;
            if let Some(path) = gradients {
                files::write(&path, &measured.gradients)?;
            }
            println!("{}", serde_json::json!({ "value": measured.value }));
        }
    }
    Ok(())
}
