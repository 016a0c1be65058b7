//! A forward argument whose type cannot hold its column: how a column is passed.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct Strict;

#[distill(batch = Review)]
impl Strict {
    fn forward(&self, input_ids: Tensor, labels: &Tensor, attention_mask: i64) -> Result<Prediction> {
        let _ = (labels, attention_mask);
        Ok(Prediction { logits: input_ids, hidden_states: Vec::new(), loss: None })
    }
}

fn main() {}
