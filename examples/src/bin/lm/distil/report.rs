//! What was reached: a table, and a JSON file.

use std::path::Path;

use brew_core::loss::next_token;
use brew_core::model::{BlockInfluence, CausalLmBatch, CausalLmOutputAdaptor};
use brew_core::observe::{Perplexity, Predictions, Summary};
use brew_core::prelude::*;
use serde_json::{Value, json};

use super::text::Text;

/// Numbers of a run.
#[derive(Debug)]
pub(super) struct Report(Value);

impl Report {
    pub(super) fn new(influence: &BlockInfluence, keep: &Keep) -> Result<Self> {
        let layers = influence.of_layers();
        Ok(Report(json!({ "influence": layers, "kept": keep.of(layers.len())?, "nll": {} })))
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
            self.0["nll"][who][name] = json!(nll);
        }
        Ok(())
    }

    /// Writes the file.
    pub(super) fn finish(mut self, summary: &Summary, file: Option<&Path>) -> Result<()> {
        self.0["curve"] =
            json!(summary.evaluations.iter().map(|perplexity| perplexity.ln()).collect::<Vec<_>>());
        self.0["steps"] = json!(summary.steps);
        self.0["seconds"] = json!(summary.seconds);
        self.0["tokens_per_second"] = json!(summary.tokens_per_second);
        match file {
            Some(file) => brew_core::disk::write(file, format!("{:#}\n", self.0).as_bytes()),
            None => Ok(()),
        }
    }
}
