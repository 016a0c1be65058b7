//! A language model's own loss: the cross entropy of each token given those before it.
//!
//! Labels stand where their tokens stand, as transformers has them: the logits of a position are about the next
//! one. What counts is known from the batch alone, so that accumulated batches agree with one batch of their
//! rows. It is computed in float32 or wider.

use tch::{Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::model::cross_entropy::CrossEntropy;
use crate::role::IGNORED;

/// Which labels count, `(batch, length)`, bool: those that are not -100, of tokens that follow a token.
pub(super) fn counted(labels: &Tensor, attention_mask: &Tensor) -> Result<Tensor> {
    let of_batch = || -> Result<Tensor> {
        let length = labels.size2()?.1;
        let tokens = attention_mask.f_ne(0)?;
        let none = tokens.f_narrow(1, 0, 1)?.f_zeros_like()?;
        let follow = Tensor::f_cat(&[none, tokens.f_narrow(1, 0, (length - 1).max(0))?], 1)?;
        Ok(labels.f_ne(IGNORED)?.f_logical_and(&tokens)?.f_logical_and(&follow.f_narrow(1, 0, length)?)?)
    };
    of_batch().in_stage("labels")
}

/// The mean over the labels that count, a scalar; 0 where none does. `logits_of` makes logits of rows of
/// hidden states: only those that a label asks for.
pub(super) fn next_token(
    hidden: &Tensor,
    (labels, attention_mask): (&Tensor, &Tensor),
    logits_of: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let rows = counted(labels, attention_mask)?.f_reshape([-1])?.f_nonzero()?.f_reshape([-1])?;
    let asked = labels.f_reshape([-1])?.f_index_select(0, &rows).in_stage("labels")?;
    // The logits that are about a token are those of the one before.
    let before = hidden.f_flatten(0, 1)?.f_index_select(0, &rows.f_sub_scalar(1)?).in_stage("loss")?;
    let logits = logits_of(&before)?;
    let wide = if logits.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let logits = logits.f_to_kind(wide)?;
    CrossEntropy::default().mean(&logits, &asked.f_to_kind(Kind::Int64)?, IGNORED).map_err(|error| {
        let tokens = logits.size().last().copied().unwrap_or(0);
        Error::invalid(format!("`labels` must be tokens, int64, from 0 to {}: {error}", tokens - 1))
    })
}
