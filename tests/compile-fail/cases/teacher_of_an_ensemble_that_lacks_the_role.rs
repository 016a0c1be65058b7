//! A match names one of several teachers: where they share an adaptor that lacks the role, it is named.
use brew_core::prelude::*;
use brew_core::distill::{student_layer, teacher};
use page::{Classifier, Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct LogitsOnly;

#[adaptor(batch = Review, output = Prediction)]
impl LogitsOnly {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

fn main() {
    let teachers = vec![Classifier.seen_by(LogitsOnly), Classifier.seen_by(LogitsOnly)];
    let found = hidden(teacher(1).layer(4), student_layer(2)).by(loss::HiddenMse);
    let _ = Distill::new(teachers, page::seen()).matching(found);
}
