//! A logits_mask without logits: a mask needs what it masks.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

#[distill(batch = Review, logits_mask = attention_mask)]
struct Output {
    #[role(hidden)]
    hidden_states: Vec<Tensor>,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {
    fn logits_mask(batch: &Review) -> &Tensor {
        &batch.attention_mask
    }
    fn hidden(output: &Prediction) -> &[Tensor] {
        &output.hidden_states
    }
}

fn main() {}
