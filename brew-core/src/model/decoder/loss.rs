//! A language model's own loss: the cross entropy of each token given those before it.
//!
//! As in transformers, a label stands at its token's position, and the logits at a position predict the next token.
//! What counts depends only on the batch, so accumulated batches agree with one batch of their rows. The loss is
//! computed in float32 or wider.

use tch::{Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::loss::logits::labels_ahead;
use crate::model::cross_entropy::CrossEntropy;
use crate::role::{IGNORED, counts};

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
    let ahead = ahead(labels, attention_mask)?.f_reshape([-1])?;
    let rows = counts(&ahead)?.f_nonzero()?.f_reshape([-1])?;
    let asked = ahead.f_index_select(0, &rows).in_stage("labels")?;
    let before = hidden.f_flatten(0, 1)?.f_index_select(0, &rows).in_stage("loss")?;
    let logits = logits_of(&before)?;
    let wide = if logits.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let logits = logits.f_to_kind(wide)?;
    CrossEntropy::default().mean(&logits, &asked.f_to_kind(Kind::Int64)?, IGNORED).map_err(|error| {
        let tokens = logits.size().last().copied().unwrap_or(0);
        let outside = asked.f_lt(0).and_then(|below| below.f_logical_or(&asked.f_ge(tokens)?)?.f_any());
        match outside.and_then(|any| any.f_int64_value(&[])) {
            Ok(1) => {
                Error::invalid(format!("`labels` must be tokens, int64, from 0 to {}: {error}", tokens - 1))
            }
            _ => error,
        }
    })
}
