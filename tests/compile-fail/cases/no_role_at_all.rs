//! No role at all: an adaptor must provide at least one.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

#[distill(batch = Review)]
struct Output {
    logits: Tensor,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {}

fn main() {}
