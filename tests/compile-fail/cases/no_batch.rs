//! `#[distill]` without a batch, with a type that is none, and an output with parameters.
use brew_core::prelude::*;
use page::Review;

#[path = "../src/page.rs"]
mod page;

#[distill]
struct NoBatch {
    #[role(logits)]
    logits: Tensor,
}

#[distill(batch = String)]
struct Text {
    #[role(logits)]
    logits: Tensor,
}

#[distill(batch = Review)]
struct Generic<T> {
    #[role(logits)]
    logits: T,
}

// The batch is a batch, whatever the output is.
fn main() {
    let _ = Review::rows;
}
