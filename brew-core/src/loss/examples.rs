//! Which examples of a batch count: the one rule for rows of padding alone.
//!
//! An example counts if its mask has a 1. One of padding alone is as if it were not in the batch, whatever
//! the loss: it is in no sum, no mean, no number of examples and no statistic of the batch, and it gets no
//! gradient. So a batch that is filled up with such rows gives what it gives without them. The mask is the
//! student's, or the teacher's where the student has none; without any mask every example counts.
//!
//! Losses over positions or pairs need nothing of this: such a row has none of either. Losses that read no
//! mask ([`Masks::Ignored`](super::Masks::Ignored)) cannot know such rows: `pkd`, as TextBrewer publishes
//! it, takes position 0 of every example; of `chunked_with_labels` the labels say what counts.

use tch::Tensor;

use super::term::{keep, positions};
use super::{Average, Features, Term};
use crate::error::Result;

/// The examples of a batch that count.
pub(super) struct Examples {
    /// `(batch,)` of booleans; all of them without.
    counts: Option<Tensor>,
    average: Average,
}

impl Examples {
    /// By the mask of positions that both sides share, `(batch, length)`.
    pub(super) fn under(mask: Option<&Tensor>) -> Result<Self> {
        let average = if mask.is_some() { Average::RowsWithTokens } else { Average::Rows };
        Ok(Examples { counts: mask.map(has_positions).transpose()?, average })
    }

    /// By the masks of two sides that have their own, of features that are hidden states.
    pub(super) fn of(student: &Features, teacher: &Features) -> Result<Self> {
        let mask =
            |read: &'_ Features| read.mask.as_ref().filter(|_| read.shape().len() == 3).map(has_positions);
        match (mask(student), mask(teacher)) {
            (Some(counts), _) => Ok(Examples { counts: Some(counts?), average: Average::RowsWithTokens }),
            // A window counts the student's masks alone.
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

    /// How many of so many examples count, a scalar of the dtype of `like`.
    pub(super) fn number(&self, rows: i64, like: &Tensor) -> Result<Tensor> {
        match &self.counts {
            Some(counts) => Ok(counts.f_sum(like.kind())?),
            None => Ok(Tensor::f_full([], rows as f64, (like.kind(), like.device()))?),
        }
    }

    /// The examples that count of a tensor `(batch, …)`.
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
