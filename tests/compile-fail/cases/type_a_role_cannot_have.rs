//! A field or return type a role cannot have: what the role takes.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

#[distill(batch = Review)]
struct Output {
    #[role(logits)]
    logits: f32,
    #[role(hidden)]
    hidden_states: Vec<String>,
    #[role(losses)]
    loss: Option<f64>,
}

#[distill(batch = Review)]
struct Span {
    #[role(logits, item = 0)]
    start: Tensor,
    #[role(logits, item = 1)]
    end: Vec<Tensor>,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {
    fn logits(output: &Prediction) -> Box<Tensor> {
        Box::new(output.logits.shallow_clone())
    }
    fn labels(batch: &Review) -> i64 {
        batch.input_ids.size()[0]
    }
}

fn main() {}
