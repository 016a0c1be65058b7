//! What was reached: a table, and a JSON file.

use std::path::Path;

use brew_core::loss::next_token;
use brew_core::model::{BlockInfluence, CausalLmBatch, CausalLmOutputAdaptor};
use brew_core::observe::{Perplexity, Predictions, Summary};
use brew_core::prelude::*;
use serde_json::{Value, json};

use super::text::Text;

/// Numbers of a run, written to a file as they come.
#[derive(Debug)]
pub(super) struct Report<'f> {
    file: Option<&'f Path>,
    numbers: Value,
}

impl<'f> Report<'f> {
    /// Begins the file, so that one that cannot be written is known before the training.
    pub(super) fn new(influence: &BlockInfluence, keep: &Keep, file: Option<&'f Path>) -> Result<Self> {
        let layers = influence.of_layers();
        let numbers = json!({ "influence": layers, "kept": keep.of(layers.len())?, "nll": {} });
        let report = Report { file, numbers };
        report.write()?;
        Ok(report)
    }

    /// Measures, notes and prints how well a model predicts what is held out of each file: the mean negative
    /// log-likelihood of a token, in nats.
    pub(super) fn measure(
        &mut self,
        who: &str,
        model: &Seen<CausalLmOutputAdaptor>,
        text: &Text,
    ) -> Result<()> {
        for (name, held_out) in &text.held_out {
            let metric = next_token(Perplexity);
            let kept = Predictions::for_metric(&metric, model, &held_out.batches::<CausalLmBatch>(2))?;
            let nll = metric.value(&kept)?.ln();
            println!("{who}: {nll:.3} nats per held-out token of {name}, perplexity {:.1}", nll.exp());
            self.numbers["nll"][who][name] = json!(nll);
        }
        self.write()
    }

    /// Adds what the run was.
    pub(super) fn finish(mut self, summary: &Summary) -> Result<()> {
        let curve = summary.evaluations.iter().map(|perplexity| perplexity.ln());
        self.numbers["curve"] = json!(curve.collect::<Vec<_>>());
        self.numbers["steps"] = json!(summary.steps);
        self.numbers["seconds"] = json!(summary.seconds);
        self.numbers["tokens_per_second"] = json!(summary.tokens_per_second);
        self.write()
    }

    fn write(&self) -> Result<()> {
        match self.file {
            Some(file) => brew_core::disk::write(file, format!("{:#}\n", self.numbers).as_bytes()),
            None => Ok(()),
        }
    }
}
