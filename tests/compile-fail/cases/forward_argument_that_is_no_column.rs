//! A forward argument that is no column of the batch: the argument, and the columns there are.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct Misspelled;

#[distill(batch = Review)]
impl Misspelled {
    fn forward(&self, input_idz: &Tensor, token_type_ids: &Tensor) -> Result<Prediction> {
        let _ = token_type_ids;
        predict(input_idz)
    }
}

struct TooMany;

#[distill(batch = (Tensor, Tensor))]
impl TooMany {
    fn forward(&self, input_ids: &Tensor, _: &Tensor, labels: &Tensor) -> Result<Prediction> {
        let _ = labels;
        predict(input_ids)
    }
}

struct Unnamed;

#[distill(batch = Review)]
impl Unnamed {
    fn forward(&self, input_ids: &Tensor, _: &Tensor) -> Result<Prediction> {
        predict(input_ids)
    }
}

#[distill(batch = Review, inputs_mask = mask)]
struct Output {
    #[role(logits)]
    logits: Tensor,
}

#[distill(batch = (Tensor, Tensor), inputs_mask = 2)]
struct Pair {
    #[role(logits)]
    logits: Tensor,
}

fn predict(tensor: &Tensor) -> Result<Prediction> {
    let logits = tensor.f_add(tensor)?;
    Ok(Prediction { logits, hidden_states: Vec::new(), loss: None })
}

fn main() {}
