//! A loss reads a role that the teacher, the student or both do not provide.
use brew_core::prelude::*;
use brew_core::distill::{student_layer, teacher_layer};
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
    let small = || Classifier.seen_by(LogitsOnly);
    let _ = Distill::new(small(), page::seen())
        .soft_targets(loss::KdCe::at(8.0))
        .matching(hidden(teacher_layer(0), student_layer(0)).by(loss::HiddenMse));
    let _ = Distill::new(page::seen(), small()).soft_targets(loss::KdCe::at(8.0)).hard_labels(1.0);
    let _ = Distill::new(page::seen(), small()).soft_targets(loss::KdCe::at(8.0).with_probability_shift());
    let _ = Supervised::new(small());
}
