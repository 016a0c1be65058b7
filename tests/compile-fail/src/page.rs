//! A batch, an output and a model, as a user writes them.

use brew_core::prelude::*;

/// One training batch.
#[derive(Debug, Batch)]
pub struct Review {
    /// Tokens: `(batch, length)`.
    #[column(i64, pad = 0)]
    pub input_ids: Tensor,
    /// 1 for a token, 0 for padding: `(batch, length)`.
    #[column(i64, pad = 0)]
    pub attention_mask: Tensor,
    /// Classes: `(batch,)`; absent when predicting.
    #[column(i64)]
    pub labels: Option<Tensor>,
}

/// What one forward pass returns.
#[distill(batch = Review, inputs_mask = attention_mask, labels = labels)]
#[derive(Debug)]
pub struct Prediction {
    /// `(batch, classes)`.
    #[role(logits)]
    pub logits: Tensor,
    /// Layers + 1 of `(batch, length, width)`.
    #[role(hidden)]
    pub hidden_states: Vec<Tensor>,
    /// `(batch,)`.
    #[role(losses)]
    pub loss: Option<Tensor>,
}

/// The user's own model.
#[derive(Debug)]
pub struct Classifier;

#[distill(batch = Review)]
impl Classifier {
    fn forward(
        &self,
        input_ids: &Tensor,
        attention_mask: &Tensor,
        labels: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Prediction> {
        let hidden = input_ids * attention_mask;
        let hidden_states = if pass.is_training() { vec![hidden.shallow_clone()] } else { Vec::new() };
        Ok(Prediction { logits: hidden, hidden_states, loss: labels.map(Tensor::shallow_clone) })
    }
}

impl Model for Classifier {
    fn parameters(&self) -> Parameters {
        Parameters::default()
    }
}

/// Model and adaptor fit.
pub fn seen() -> Seen<PredictionAdaptor> {
    Classifier.seen_by(PredictionAdaptor)
}
