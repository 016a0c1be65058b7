//! A role twice: which two.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

#[distill(batch = Review, labels = labels, labels = input_ids)]
struct Output {
    #[role(logits)]
    logits: Tensor,
    #[role(logits)]
    other: Tensor,
}

#[distill(batch = Review)]
struct Span {
    #[role(logits, item = 0)]
    start: Tensor,
    #[role(logits, item = 0)]
    end: Tensor,
    #[role(hidden, item = 1)]
    hidden: Tensor,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    #[role(logits)]
    fn others(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

fn main() {}
