//! A function of an adaptor with a receiver, an unknown argument, or nothing to give.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

struct View;

#[adaptor(batch = Review, output = Prediction, ouput = Prediction)]
impl View {
    fn logits(&self, output: &Prediction) -> Tensor {
        output.logits.shallow_clone()
    }
    fn hidden(prediction: Prediction) -> Vec<Tensor> {
        prediction.hidden_states
    }
    fn losses(_output: &Prediction) {}
}

struct Unknown;

#[adaptor]
impl Unknown {
    fn logits(_: &Prediction) -> &Tensor {
        loop {}
    }
}

struct Mistaken;

#[adaptor(batch = Review, output = Prediction)]
impl Mistaken {
    fn logits(output: &Review) -> &Tensor {
        &output.input_ids
    }
}

#[adaptor]
struct Model;

fn main() {}
