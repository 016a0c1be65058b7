//! An `impl` whose `forward` is missing, hides its output or takes the model by value.
use brew_core::prelude::*;
use page::Prediction;

#[path = "../src/page.rs"]
mod page;

struct NoForward;

#[distill(batch = Review)]
impl NoForward {
    fn go(&self) {}
}

struct NoBatch;

#[distill]
impl NoBatch {
    fn forward(&self, _input_ids: &Tensor) {}
}

type Outcome = Result<Prediction>;

struct Hidden;

mod hidden {
    pub type Result = super::Outcome;
}

#[distill(bach = Review, batch = Review, labels = labels)]
impl Hidden {
    fn forward(self, input_ids: &Tensor) -> hidden::Result {
        Ok(Prediction { logits: input_ids.shallow_clone(), hidden_states: Vec::new(), loss: None })
    }
}

#[distill(batch = Review)]
impl Clone for Hidden {
    fn clone(&self) -> Self {
        Hidden
    }
}

#[distill(batch = Review)]
enum Either {}

fn main() {}
