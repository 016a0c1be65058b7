//! A language model's own loss: the cross entropy of each token given those before it.
//!
//! As in transformers, a label stands at its token's position, and the logits at a position predict the next token.
//! What counts depends only on the batch, so accumulated batches agree with one batch of their rows. The loss is
//! computed in float32 or wider.

use tch::{Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::model::cross_entropy::CrossEntropy;
use crate::role::IGNORED;

/// Which labels count, `(batch, length)`, bool: those that are not -100, of tokens that follow a token of the same
/// document.
pub(super) fn counted(labels: &Tensor, attention_mask: &Tensor) -> Result<Tensor> {
    let of_batch = || -> Result<Tensor> {
        let length = labels.size2()?.1;
        let none = attention_mask.f_narrow(1, 0, 1)?.f_zeros_like()?;
        let before = Tensor::f_cat(&[none, attention_mask.f_narrow(1, 0, (length - 1).max(0))?], 1)?;
        let follows = before.f_narrow(1, 0, length)?.f_eq_tensor(attention_mask)?;
        Ok(labels.f_ne(IGNORED)?.f_logical_and(&attention_mask.f_ne(0)?)?.f_logical_and(&follows)?)
    };
    of_batch().in_stage("labels")
}

/// The mean over the labels that count, a scalar; 0 if none does. `logits_of` turns rows of hidden states into
/// logits; it gets only the rows that predict a label that counts.
pub(super) fn next_token(
    hidden: &Tensor,
    (labels, attention_mask): (&Tensor, &Tensor),
    logits_of: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let rows = counted(labels, attention_mask)?.f_reshape([-1])?.f_nonzero()?.f_reshape([-1])?;
    let asked = labels.f_reshape([-1])?.f_index_select(0, &rows).in_stage("labels")?;
    // A token is predicted at the position before it.
    let before = hidden.f_flatten(0, 1)?.f_index_select(0, &rows.f_sub_scalar(1)?).in_stage("loss")?;
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
