//! A loss that computes the logits itself: an adaptor says of every part of the head whether there is one.
use brew_core::prelude::*;
use page::{Classifier, Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct MatrixOnly;

#[adaptor(batch = Review, output = Prediction)]
impl MatrixOnly {
    fn hidden(output: &Prediction) -> &[Tensor] {
        &output.hidden_states
    }
    fn output_weight(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

fn main() {
    let side = || Classifier.seen_by(MatrixOnly);
    let _ = Distill::new(side(), side()).soft_targets(loss::Chunked::of(loss::Kl::at(1.0)));
}
