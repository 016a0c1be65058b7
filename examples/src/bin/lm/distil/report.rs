//! What was reached: a table, and a JSON file.

use std::path::Path;

use brew_core::loss::next_token;
use brew_core::model::{BlockInfluence, CausalLmBatch, CausalLmOutputAdaptor};
use brew_core::observe::{Perplexity, Predictions, Summary};
use brew_core::prelude::*;
use serde_json::{Value, json};

/// The mean negative log-likelihood of the held-out tokens, in nats.
pub(super) fn nll(
    model: &Seen<CausalLmOutputAdaptor>,
    dev: &impl Batches<Batch = CausalLmBatch>,
) -> Result<f64> {
    let metric = next_token(Perplexity);
    Ok(metric.value(&Predictions::for_metric(&metric, model, dev)?)?.ln())
}

/// Numbers of a run.
#[derive(Debug)]
pub(super) struct Report(Value);

impl Report {
    pub(super) fn new(influence: &BlockInfluence, keep: &Keep) -> Result<Self> {
        let layers = influence.of_layers();
        Ok(Report(json!({ "influence": layers, "kept": keep.of(layers.len())?, "nll": {} })))
    }

    /// Notes and prints a negative log-likelihood.
    pub(super) fn nll(&mut self, name: &str, nll: f64) {
        println!("{name}: {nll:.3} nats per held-out token, perplexity {:.1}", nll.exp());
        self.0["nll"][name] = json!(nll);
    }

    /// Prints the end of a run and writes the file.
    pub(super) fn finish(mut self, summary: &Summary, file: Option<&Path>) -> Result<()> {
        let curve: Vec<f64> = summary.evaluations.iter().map(|perplexity| perplexity.ln()).collect();
        if let Some(last) = curve.last() {
            self.nll("student", *last);
        }
        self.0["curve"] = json!(curve);
        self.0["steps"] = json!(summary.steps);
        self.0["seconds"] = json!(summary.seconds);
        self.0["tokens_per_second"] = json!(summary.tokens_per_second);
        match file {
            Some(file) => brew_core::disk::write(file, format!("{:#}\n", self.0).as_bytes()),
            None => Ok(()),
        }
    }
}
