//! A training step in the real loop, with a run folder like any user's.

use std::path::PathBuf;

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
    /// The layers that the student keeps.
    #[arg(long, value_delimiter = ',', required = true)]
    layers: Vec<usize>,
    /// Rows per batch.
    #[arg(long, default_value_t = 8)]
    rows: i64,
    /// Tokens per row; there is no padding.
    #[arg(long, default_value_t = 512)]
    length: i64,
    /// Measured steps.
    #[arg(long, default_value_t = 5)]
    steps: i64,
    /// Warm-up steps.
    #[arg(long, default_value_t = 2)]
    warm_up: i64,
    /// Where to write the batches, `input_ids` (batches, rows, length) of safetensors, so that another program can train
    /// on them.
    #[arg(long)]
    batches: PathBuf,
    /// Where the run is kept.
    #[arg(long, default_value = "runs/lm/step")]
    run_dir: PathBuf,
}

/// Median milliseconds of each part, the peak memory, and the losses.
pub(crate) fn measured(arguments: &Arguments) -> Result<Value> {
    let teacher = DecoderForCausalLm::frozen(&arguments.model, Kind::Float, Device::Cpu)?;
    let ids = drawn(arguments, teacher.config().vocab_size)?;
    Tensor::write_safetensors(&[("input_ids", &ids)], &arguments.batches)
        .map_err(|error| Error::file(&arguments.batches, error))?;
    let student = DecoderForCausalLm::from_layers_of(&teacher, Keep::layers(arguments.layers.clone()))?;
    let pipeline = distilled_from(teacher.seen(), student.seen(), (1.0, 1.0))?;
    let clock = Clock::listen()?;
    let mut losses = Vec::new();
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4).weight_decay(0.01))
        .clip(1.0)
        .steps(arguments.warm_up as u64 + arguments.steps as u64)
        .log_every(1)
        .run_dir(&arguments.run_dir)
        .fresh()
        .observe(Totals(&mut losses))
        .run(batches_of(&ids)?)?;
    let mut report = clock.report(arguments.warm_up as u64)?;
    report["losses"] = json!(losses);
    Ok(report)
}

/// Which tokens they are changes the losses, and no time: they are drawn.
fn drawn(arguments: &Arguments, vocabulary: i64) -> Result<Tensor> {
    let size = [arguments.warm_up + arguments.steps, arguments.rows, arguments.length];
    brew_core::tch::manual_seed(0);
    Ok(Tensor::f_randint(vocabulary, size, (Kind::Int64, Device::Cpu))?)
}

fn batches_of(ids: &Tensor) -> Result<Vec<CausalLmBatch>> {
    let batch = |ids: Tensor| {
        let attention_mask = ids.f_ones_like()?;
        Ok(CausalLmBatch { attention_mask, labels: Some(ids.shallow_clone()), input_ids: ids })
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
