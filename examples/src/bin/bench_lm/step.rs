//! A training step in the real loop, with a run folder like any user's.

use std::path::{Path, PathBuf};

use brew_core::model::{CausalLmBatch, DecoderForCausalLm};
use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use clap::Args;
use examples::{Clock, distilled_from};
use serde_json::{Value, json};

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The teacher's folder or GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// A safetensors file with `input_ids`, int64 (batches, rows, length): every id is a token. One step per batch.
    #[arg(long)]
    batches: PathBuf,
    /// The layers that the student keeps.
    #[arg(long, value_delimiter = ',', required = true)]
    layers: Vec<usize>,
    /// Warm-up steps.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
    /// Where the run is kept.
    #[arg(long, default_value = "runs/lm/step")]
    run_dir: PathBuf,
}

/// Median milliseconds of each part, the peak memory, and the losses.
pub(crate) fn measured(arguments: &Arguments) -> Result<Value> {
    let batches = read(&arguments.batches)?;
    let steps = batches.len() as u64;
    let teacher = DecoderForCausalLm::frozen(&arguments.model, Kind::Float, Device::Cpu)?;
    let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers(arguments.layers.clone()))?;
    let pipeline = distilled_from(teacher, student, (1.0, 1.0))?;
    let clock = Clock::listen()?;
    let mut losses = Vec::new();
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4).weight_decay(0.01))
        .clip(1.0)
        .steps(steps)
        .log_every(1)
        .run_dir(&arguments.run_dir)
        .fresh()
        .observe(Totals(&mut losses))
        .run(batches)?;
    let mut report = clock.report(arguments.warm_up)?;
    report["losses"] = json!(losses);
    Ok(report)
}

fn read(file: &Path) -> Result<Vec<CausalLmBatch>> {
    let tensors = Tensor::read_safetensors(file).map_err(|error| Error::file(file, error))?;
    let ids = tensors.into_iter().find(|(name, _)| name == "input_ids").map(|(_, tensor)| tensor);
    let ids = ids.ok_or_else(|| Error::file(file, "it has no tensor `input_ids`"))?;
    let batch = |ids: Tensor| {
        Ok(CausalLmBatch {
            attention_mask: ids.f_ones_like()?,
            labels: Some(ids.shallow_clone()),
            input_ids: ids,
        })
    };
    ids.f_unbind(0)?.into_iter().map(batch).collect()
}

/// Keeps the total of every step, and says warnings.
struct Totals<'a>(&'a mut Vec<f64>);

impl Observer for Totals<'_> {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Batch(report) => {
                let total = report.losses.iter().find(|(name, _)| name == "total");
                self.0.extend(total.map(|(_, value)| *value));
            }
            Event::Warning(text) => eprintln!("warning: {text}"),
            _ => {}
        }
    }
}
