//! The time of a training step on made-up token numbers: how cost grows with length, batch, layers and
//! rows.

use std::path::PathBuf;

use brew_core::Result;
use serde_json::{Value, json};

/// What `step` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder to work in.
    #[arg(long)]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Value> {
    Ok(json!({ "folder": arguments.folder }))
}
