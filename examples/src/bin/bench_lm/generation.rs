//! Greedy generation of a batch of prompts of different lengths, padded on the left.

use std::path::PathBuf;
use std::time::Instant;

use brew_core::generate::{GenerationConfig, Prompts, generate};
use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use clap::Args;
use serde_json::{Value, json};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The model's folder or GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// A JSON file with a list of lists of token ids: the prompts of the batch.
    #[arg(long)]
    prompts: PathBuf,
    /// New tokens per prompt; no token ends an answer.
    #[arg(long, default_value_t = 128)]
    new_tokens: i64,
    /// How often it is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Median seconds, and the ids.
pub(crate) fn measured(arguments: &Arguments) -> Result<Value> {
    let text = std::fs::read_to_string(&arguments.prompts)
        .map_err(|error| Error::file(&arguments.prompts, error))?;
    let prompts: Vec<Vec<i64>> =
        serde_json::from_str(&text).map_err(|error| Error::file(&arguments.prompts, error))?;
    let prompts = Prompts::of_ids(prompts);
    let model = DecoderForCausalLm::frozen(&arguments.model, Kind::Float, Device::Cpu)?;
    let config = GenerationConfig { max_new_tokens: arguments.new_tokens, ..GenerationConfig::default() };
    let (mut seconds, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.max(1) {
        let begun = Instant::now();
        answers = generate(&model, &prompts, &config)?.answers;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(json!({ "seconds": seconds[seconds.len() / 2], "ids": answers }))
}
