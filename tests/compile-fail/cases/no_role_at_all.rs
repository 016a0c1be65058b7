//! No role at all: an adaptor must provide at least one.
use brew_core::prelude::*;
use compile_fail::page::{Prediction, Review};

#[distill(batch = Review)]
struct Output {
    logits: Tensor,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {}

fn main() {}
