//! Decides which examples of a batch count: the single rule for rows that are only padding.
//!
//! An example counts if its mask has a 1. For every loss, an example that is only padding is treated as if it
//! were not in the batch: it is in no sum, mean, count or batch statistic, and it gets no gradient. A batch
//! padded with such rows therefore gives the same result as without them. The mask is the student's, or the
//! teacher's if the student has none; without any mask every example counts.
//!
//! Losses over positions or pairs do not need this rule, since such a row has neither. Losses that read no
//! mask ([`Masks::Ignored`](super::Masks::Ignored)) cannot recognize such rows: `pkd`, as published by
//! TextBrewer, takes position 0 of every example; for `chunked_with_labels` the labels decide what counts.

use tch::Tensor;

use super::term::{keep, positions};
use super::{Average, Features, Term};
use crate::error::Result;

/// The examples of a batch that count.
pub(super) struct Examples {
    /// `(batch,)` of booleans; `None` if all count.
    counts: Option<Tensor>,
    average: Average,
}

impl Examples {
    /// Decided by the mask of positions that both sides share, `(batch, length)`.
    pub(super) fn under(mask: Option<&Tensor>) -> Result<Self> {
        let average = if mask.is_some() { Average::RowsWithTokens } else { Average::Rows };
        Ok(Examples { counts: mask.map(has_positions).transpose()?, average })
    }

    /// Decided by the masks of two sides that have their own, for features that are hidden states.
    pub(super) fn of(student: &Features, teacher: &Features) -> Result<Self> {
        let mask =
            |read: &'_ Features| read.mask.as_ref().filter(|_| read.shape().len() == 3).map(has_positions);
        match (mask(student), mask(teacher)) {
            (Some(counts), _) => Ok(Examples { counts: Some(counts?), average: Average::RowsWithTokens }),
            // A window counts only the student's masks.
            (None, Some(counts)) => Ok(Examples { counts: Some(counts?), average: Average::Own }),
            (None, None) => Examples::under(None),
        }
    }

    /// The mean of one value per example, `(batch,)`, as a sum and how many count.
    pub(super) fn term(&self, per_example: &Tensor) -> Result<Term> {
        let Some(counts) = &self.counts else { return Term::rows(per_example) };
        let sum = keep(per_example, counts)?.f_sum(per_example.kind())?;
        Ok(Term::new(sum, counts.f_sum(per_example.kind())?, self.average))
    }

    /// The mean of one value per example that counts, as [`select`](Self::select) gives them.
    pub(super) fn selected_term(&self, per_example: &Tensor) -> Result<Term> {
        Ok(Term { average: self.average, ..Term::rows(per_example)? })
    }

    /// One value of the whole batch, which counts once per example.
    pub(super) fn batch_term(&self, value: &Tensor, rows: i64) -> Result<Term> {
        let count = self.number(rows, value)?;
        Ok(Term::new(value.f_mul(&count)?, count, self.average))
    }

    /// How many of `rows` examples count, a scalar with the dtype of `like`.
    pub(super) fn number(&self, rows: i64, like: &Tensor) -> Result<Tensor> {
        match &self.counts {
            Some(counts) => Ok(counts.f_sum(like.kind())?),
            None => Ok(Tensor::f_full([], rows as f64, (like.kind(), like.device()))?),
        }
    }

    /// The examples of a tensor `(batch, …)` that count.
    pub(super) fn select(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.counts {
            Some(counts) => Ok(tensor.f_index_select(0, &counts.f_nonzero()?.f_squeeze_dim(1)?)?),
            None => Ok(tensor.shallow_clone()),
        }
    }
}

/// Which rows of a mask have a 1, `(batch,)`.
fn has_positions(mask: &Tensor) -> Result<Tensor> {
    Ok(positions(mask)?.f_any_dim(-1, false)?)
}
