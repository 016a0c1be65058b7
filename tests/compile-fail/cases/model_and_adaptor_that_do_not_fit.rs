//! A model seen by an adaptor of another batch or output, by what is no adaptor, or without `forward`.
use brew_core::prelude::*;
use page::{Classifier, Prediction, PredictionAdaptor, Review};

#[path = "../src/page.rs"]
mod page;

struct Output;

struct OtherOutput;

#[adaptor(batch = Review, output = Output)]
impl OtherOutput {
    fn labels(batch: &Review) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
}

struct OtherBatch;

#[adaptor(batch = (Tensor,), output = Prediction)]
impl OtherBatch {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

struct NoForward;

impl Model for NoForward {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}

fn main() {
    let _ = Classifier.seen_by(OtherOutput);
    let _ = Classifier.seen_by(OtherBatch);
    let _ = Classifier.seen_by(Prediction { logits: Tensor::new(), hidden_states: Vec::new(), loss: None });
    let _ = NoForward.seen_by(PredictionAdaptor);
}
