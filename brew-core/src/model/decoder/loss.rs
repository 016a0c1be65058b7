//! A language model's own loss: the cross entropy of each token given those before it.
//!
//! As in transformers, a label stands at its token's position, and the logits at a position predict the next token.
//! What counts depends only on the batch, so accumulated batches agree with one batch of their rows. The loss is
//! computed in float32 or wider.

use tch::Tensor;

use crate::error::{InStage, Result};
use crate::loss::logits::labels_ahead;
use crate::model::cross_entropy::mean_over_tokens;

/// The label that the logits of each position are to predict, `(batch, length)`: that of the next token of the same
/// document, and -100 if there is none.
pub(super) fn ahead(labels: &Tensor, attention_mask: &Tensor) -> Result<Tensor> {
    labels_ahead(labels, Some(attention_mask)).in_stage("labels")
}

/// The mean over the labels that count, a scalar; 0 if none does. `logits_of` turns rows of hidden states into
/// logits; it gets only the rows that predict a label that counts.
pub(super) fn next_token(
    hidden: &Tensor,
    (labels, attention_mask): (&Tensor, &Tensor),
    logits_of: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    mean_over_tokens(hidden, &ahead(labels, attention_mask)?, logits_of)
}
