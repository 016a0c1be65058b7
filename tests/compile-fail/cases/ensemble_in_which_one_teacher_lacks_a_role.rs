//! An ensemble gives a role if each of its teachers does: the one that lacks it is named.
use brew_core::prelude::*;
use page::{Classifier, Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct HiddenOnly;

#[adaptor(batch = Review, output = Prediction)]
impl HiddenOnly {
    fn hidden(output: &Prediction) -> &[Tensor] {
        &output.hidden_states
    }
}

fn main() {
    let teachers = page::seen().and(Classifier.seen_by(HiddenOnly)).and(page::seen());
    let _ = Distill::new(teachers, page::seen()).soft_targets(loss::KdCe::at(8.0));
}
