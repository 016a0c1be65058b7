//! What a window of accumulated batches counts, known before any of them is run.
//!
//! A loss over a window divides by the rows, tokens or pairs of the whole window, so that one batch of 16
//! and four of 4 give the same gradient whatever their padding. Masks that a model makes itself are
//! not known beforehand; a loss over such a mask averages the batches' own means instead.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::error::{InStage, Result};
use crate::loss::{Average, Term, pair_count, token_count};
use crate::plan::Semantics;
use crate::role::{InputsMask, Labels, LogitsMask, Role, mask_of};

/// What the batches of one optimizer step count together.
#[derive(Debug)]
pub struct Window {
    semantics: Semantics,
    batches: usize,
    rows: f64,
    masks: BTreeMap<&'static str, Counts>,
}

/// The roles whose values are counted: of masks the ones, of labels those that count.
const COUNTED: [&str; 3] = [InputsMask::NAME, LogitsMask::NAME, Labels::NAME];

/// What one batch counts: its rows, and the positions of the masks and labels that it gives itself.
#[derive(Debug)]
pub struct BatchCounts {
    rows: usize,
    masks: BTreeMap<&'static str, Counts>,
}

/// What one mask counts, float32 scalars.
#[derive(Debug)]
struct Counts {
    tokens: Tensor,
    pairs: Tensor,
}

impl BatchCounts {
    /// Counts a batch.
    pub fn of<T, A: Adaptor, B: Feeds<T, A::Batch>>(batch: &B) -> Result<Self> {
        let mut masks = BTreeMap::new();
        for role in COUNTED {
            if let Some(counts) = count::<A>(role, batch.student())? {
                masks.insert(role, counts);
            }
        }
        Ok(BatchCounts { rows: Batch::rows(batch.student()), masks })
    }
}

impl Window {
    /// Counts the batches of a window.
    pub fn of<T, A: Adaptor, B: Feeds<T, A::Batch>>(semantics: Semantics, batches: &[B]) -> Result<Self> {
        let counts = batches.iter().map(BatchCounts::of::<T, A, B>).collect::<Result<Vec<BatchCounts>>>()?;
        Window::sum(semantics, batches.len(), &counts.iter().collect::<Vec<_>>())
    }

    /// Adds up what the batches of one task count, in a window of so many `batches` of all tasks. Where
    /// the window has batches of other tasks too, the task's loss over its own rows is multiplied by its
    /// share of the batches.
    pub fn sum(semantics: Semantics, batches: usize, counts: &[&BatchCounts]) -> Result<Self> {
        let share = counts.len() as f64 / batches.max(1) as f64;
        let rows: f64 = counts.iter().map(|counts| counts.rows as f64).sum();
        let mut masks = BTreeMap::new();
        for role in COUNTED {
            let of_role: Option<Vec<&Counts>> = counts.iter().map(|counts| counts.masks.get(role)).collect();
            if let Some(of_role) = of_role.filter(|of_role| !of_role.is_empty()) {
                masks.insert(role, Counts::sum(&of_role, share)?);
            }
        }
        Ok(Window { semantics, batches, rows: rows / share, masks })
    }

    /// The part of the window that one batch is.
    pub(super) fn share(&self) -> f64 {
        1.0 / self.batches.max(1) as f64
    }

    /// The share of this batch's term in the window's loss.
    pub(super) fn divide(&self, term: &Term, role: &str) -> Result<Tensor> {
        if self.semantics == Semantics::TextBrewer {
            return self.mean_of_means(term);
        }
        let counted = match term.average {
            Average::Labels => Some(Labels::NAME),
            _ => mask_of(role),
        };
        match (term.average, counted.and_then(|role| self.masks.get(role))) {
            (Average::Rows, _) => Ok(term.sum.f_div_scalar(self.rows.max(1.0))?),
            (Average::Tokens | Average::Labels, Some(counts)) => term.over(&counts.tokens),
            (Average::Pairs, Some(counts)) => term.over(&counts.pairs),
            (Average::Tokens | Average::Pairs | Average::Labels | Average::Own, _) => {
                self.mean_of_means(term)
            }
        }
    }

    fn mean_of_means(&self, term: &Term) -> Result<Tensor> {
        Ok(term.mean()?.f_div_scalar(self.batches.max(1) as f64)?)
    }
}

impl Counts {
    fn of(mask: &Tensor) -> Result<Self> {
        Ok(Counts { tokens: token_count(mask, Kind::Float)?, pairs: pair_count(mask, Kind::Float)? })
    }

    fn sum(counts: &[&Counts], share: f64) -> Result<Self> {
        let total = |of: fn(&Counts) -> &Tensor| -> Result<Tensor> {
            let counts: Vec<&Tensor> = counts.iter().map(|counts| of(counts)).collect();
            let total = Tensor::f_stack(&counts, 0)?.f_sum(None)?;
            if share == 1.0 { Ok(total) } else { Ok(total.f_div_scalar(share)?) }
        };
        Ok(Counts { tokens: total(|counts| &counts.tokens)?, pairs: total(|counts| &counts.pairs)? })
    }
}

/// The positions that the inputs' mask of a batch keeps, an int64 scalar on its device; `None` where the
/// batch alone does not give the mask.
pub(crate) fn tokens<A: Adaptor>(batch: &A::Batch) -> Result<Option<Tensor>> {
    let mask = alone::<A>(InputsMask::NAME, batch)?;
    mask.map(|mask| token_count(&mask, Kind::Int64).in_stage(InputsMask::NAME)).transpose()
}

/// Which labels count, of those that the batch alone gives: where logits have a mask, under it.
fn labelled<A: Adaptor>(batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(labels) = alone::<A>(Labels::NAME, batch)? else { return Ok(None) };
    let counts = labels.f_ge(0)?;
    match alone::<A>(LogitsMask::NAME, batch)? {
        Some(mask) if mask.size() == labels.size() => {
            Ok(Some(counts.f_logical_and(&mask.f_to_kind(Kind::Bool)?)?))
        }
        // A mask that the model makes, or one a head, is not known here.
        _ if labels.dim() > 1 && A::ROLES.contains(&LogitsMask::NAME) => Ok(None),
        _ => Ok(Some(counts)),
    }
}

/// The one tensor that the batch alone gives for a role.
fn alone<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(tensors) = A::read_batch(role, batch)? else { return Ok(None) };
    Ok(<[Tensor; 1]>::try_from(tensors.into_tensors()).ok().map(|[tensor]| tensor))
}

/// What a mask or the labels count, where the batch alone gives them.
fn count<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Counts>> {
    // Several masks, one a head, each have a count of their own: they average by themselves.
    let mask = if role == Labels::NAME { labelled::<A>(batch)? } else { alone::<A>(role, batch)? };
    mask.map(|mask| Counts::of(&mask).in_stage(role)).transpose()
}
