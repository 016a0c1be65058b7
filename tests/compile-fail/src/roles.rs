//! Every role of the field, from fields and from functions, as lists and as single tensors.

use brew_core::prelude::*;
use brew_core::adaptor::Provides;

use crate::page::{Classifier, Prediction, Review};

/// Every role that a field can have; attribute macros may stand in any order.
#[derive(Debug)]
#[distill(batch = Review)]
pub struct Everything {
    #[role(logits)]
    logits: Vec<Tensor>,
    // One mask serves the whole list.
    #[role(logits_mask)]
    mask: Tensor,
    #[role(labels)]
    labels: Option<Vec<Tensor>>,
    #[role(losses)]
    losses: Tensor,
    #[role(attention)]
    attention: Vec<Tensor>,
    #[role(hidden)]
    hidden: [Tensor; 3],
    #[role(inputs_mask)]
    inputs_mask: Option<Tensor>,
    /// No role: distillation does not look at it.
    pub seconds: f64,
}

/// A tuple struct.
#[distill(batch = Review, labels = labels)]
#[derive(Debug)]
pub struct Pair(#[role(logits)] Tensor, #[role(hidden)] Vec<Tensor>);

/// Functions of every shape: single tensors.
#[derive(Debug)]
pub struct Single;

#[adaptor(batch = Review, output = Prediction)]
impl Single {
    fn logits(output: &Prediction) -> &Tensor {
        &output.logits
    }
    fn logits_mask(batch: &Review) -> Tensor {
        batch.attention_mask.shallow_clone()
    }
    fn labels(batch: &Review) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
    fn losses(output: &Prediction) -> Option<Tensor> {
        output.loss.as_ref().map(Tensor::shallow_clone)
    }
    fn hidden(output: &Prediction) -> &[Tensor] {
        &output.hidden_states
    }
    fn attention(output: &Prediction) -> &Vec<Tensor> {
        &output.hidden_states
    }
    fn inputs_mask(batch: &Review) -> &Tensor {
        &batch.attention_mask
    }
}

/// Functions of every shape: lists, in a `Result` or an array, and the types inferred.
#[derive(Debug)]
pub struct Lists;

#[adaptor]
impl Lists {
    fn logits(_: &Review, output: &Prediction) -> Result<Vec<Tensor>> {
        Ok(vec![output.logits.f_narrow(1, 0, 1)?, output.logits.f_narrow(1, 1, 1)?])
    }
    fn labels(_batch: &Review, _output: &Prediction) -> Option<[Tensor; 2]> {
        None
    }
    fn logits_mask(batch: &Review) -> Vec<Tensor> {
        vec![batch.attention_mask.shallow_clone(), batch.attention_mask.shallow_clone()]
    }
}

/// The adaptors fit the model whose batch and output they read.
pub fn seen() -> (Seen<Single>, Seen<Lists>) {
    (Classifier.seen_by(Single), Classifier.seen_by(Lists))
}

/// Each role is provided.
pub fn provided()
where
    EverythingAdaptor: Provides<role::Logits>
        + Provides<role::LogitsMask>
        + Provides<role::Labels>
        + Provides<role::Losses>
        + Provides<role::Attention>
        + Provides<role::Hidden>
        + Provides<role::InputsMask>,
    PairAdaptor: Provides<role::Logits> + Provides<role::Hidden> + Provides<role::Labels>,
    Single: Provides<role::Logits>
        + Provides<role::LogitsMask>
        + Provides<role::Labels>
        + Provides<role::Losses>
        + Provides<role::Attention>
        + Provides<role::Hidden>
        + Provides<role::InputsMask>,
    Lists: Provides<role::Logits> + Provides<role::LogitsMask> + Provides<role::Labels>,
{
}
