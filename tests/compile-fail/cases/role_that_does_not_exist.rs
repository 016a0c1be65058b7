//! A role that does not exist: a bare word; paths are users' own.
use brew_core::prelude::*;
use page::{Prediction, Review};

#[path = "../src/page.rs"]
mod page;

#[distill(batch = Review, inputs_maks = attention_mask)]
struct Output {
    #[role(logits)]
    logits: Tensor,
    #[role(hiden)]
    hidden_states: Vec<Tensor>,
    #[role(SentenceEmbedding)]
    sentence: Tensor,
    #[role(pooled_output)]
    pooled: Tensor,
}

struct NoRole;

#[distill(batch = Review)]
struct Embedded {
    #[role(self::NoRole)]
    embedding: Tensor,
}

struct View;

#[adaptor(batch = Review, output = Prediction)]
impl View {
    fn logit(output: &Prediction) -> &Tensor {
        first(output)
    }
    fn first(output: &Prediction) -> &Tensor {
        &output.logits
    }
}

fn main() {
    let _ = (OutputAdaptor, View);
}
