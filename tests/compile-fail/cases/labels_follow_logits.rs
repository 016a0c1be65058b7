//! Logits as a list and labels as one tensor, or the reverse: both lists, or both tensors.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

type Many = Vec<Tensor>;

#[distill(batch = Review, labels = labels)]
struct ListOfLogits {
    // The compiler sees through the alias.
    #[role(logits)]
    logits: Many,
}

#[distill(batch = Review, labels = labels)]
struct Span {
    #[role(logits, item = 0)]
    start: Tensor,
    #[role(logits, item = 1)]
    end: Tensor,
}

struct ListOfLabels;

#[adaptor(batch = Review, output = Prediction)]
impl ListOfLabels {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    fn labels(batch: &Review) -> Option<Vec<Tensor>> {
        batch.labels.as_ref().map(|labels| vec![labels.shallow_clone()])
    }
}

struct ListOfMasks;

#[adaptor(batch = Review, output = Prediction)]
impl ListOfMasks {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    fn logits_mask(batch: &Review) -> Vec<Tensor> {
        vec![batch.attention_mask.shallow_clone()]
    }
}

fn main() {}
