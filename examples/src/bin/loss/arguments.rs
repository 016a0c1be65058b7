//! The command line.

use std::path::PathBuf;

use brew_core::{Error, Result};
use clap::Parser;
use serde_json::{Map, Value};

/// Computes one loss on given tensors, with its gradients.
#[derive(Debug, Parser)]
#[command(name = "loss")]
pub(crate) struct Arguments {
    /// The loss; `--list` prints the names.
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    name: Option<String>,
    /// Its options as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,
    /// The tensors: a safetensors file.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    inputs: Option<PathBuf>,
    /// Where the gradients are written, as safetensors.
    #[arg(long, value_name = "FILE")]
    grad: Option<PathBuf>,
    /// Prints every loss with its inputs, its options and their defaults.
    #[arg(long)]
    list: bool,
}

/// What the command line asks for.
pub(crate) enum Asked {
    List,
    Loss { name: String, options: Map<String, Value>, inputs: PathBuf, gradients: Option<PathBuf> },
}

impl Arguments {
    pub(crate) fn asked(self) -> Result<Asked> {
        let (false, Some(name), Some(inputs)) = (self.list, self.name, self.inputs) else {
            return Ok(Asked::List);
        };
        let options = serde_json::from_str(&self.params).map_err(|error| {
            Error::invalid(format!("--params must be a JSON object such as {{\"temperature\": 4}}: {error}"))
        })?;
        Ok(Asked::Loss { name, options, inputs, gradients: self.grad })
    }
}
