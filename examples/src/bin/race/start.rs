//! The student before training, as a Hugging Face folder that all sides load.

use std::path::PathBuf;

use brew_core::prelude::*;

/// What `start` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of all-MiniLM-L6-v2.
    #[arg(long, value_name = "DIR")]
    encoder: PathBuf,
    /// Layers of the student.
    #[arg(long, value_name = "N", default_value_t = 3)]
    layers: usize,
    /// The seed of the new head.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the student is written.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { encoder, layers, seed, out } = arguments;
    let encoder = BertForSequenceClassification::from_encoder(encoder, 2, *seed, Device::Cpu)?;
    let student = BertForSequenceClassification::from_layers_of(&encoder, Keep::first(*layers))?;
    student.with_new_head(2, *seed)?.save(out)
}
