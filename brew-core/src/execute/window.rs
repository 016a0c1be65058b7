//! The counts of a window of accumulated batches, known before any of them runs.
//!
//! A loss over a window divides by the rows, tokens or pairs of the whole window, so that one batch of 16 and
//! four of 4 give the same gradient whatever their padding. Masks that a model itself computes are not known
//! in advance; a loss over such a mask averages the batches' means instead.

mod numbers;

use std::cell::Ref;
use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::batch::Batch;
use crate::error::{InStage, Result};
use crate::loss::logits::Targets;
use crate::loss::{Average, Loss, Masks, Term, pair_count, row_count, token_count};
use crate::model::ErasedModel;
use crate::role::{InputsMask, Labels, LogitsMask, Losses, Role};
use crate::semantics::Semantics;

use super::reads::of_head;

/// The combined counts of the batches of one optimizer step.
#[derive(Debug)]
pub struct Window {
    semantics: Semantics,
    batches: usize,
    rows: f64,
    counts: BTreeMap<CountedBy, MaskCounts>,
    /// The counts of the student's own losses, if known in advance.
    losses: Option<Vec<Tensor>>,
}

/// Identifies the term to divide.
pub(super) struct Divided<'d> {
    pub(super) loss: &'d dyn Loss,
    /// The role that it compares.
    pub(super) role: &'d str,
    /// The role of the mask that says what of it counts.
    pub(super) mask: Option<&'static str>,
    /// The index of its head, and the number of heads.
    pub(super) head: usize,
    pub(super) heads: usize,
}

/// What is counted: the positions of a mask that are not 0, or the labels at 0 or above, alone or where the mask of the
/// compared role is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Mask(&'static str),
    Labels { under: Option<&'static str> },
}

const UNITS: [Unit; 5] = [
    Unit::Mask(InputsMask::NAME),
    Unit::Mask(LogitsMask::NAME),
    Unit::Labels { under: None },
    Unit::Labels { under: Some(InputsMask::NAME) },
    Unit::Labels { under: Some(LogitsMask::NAME) },
];

/// A unit, at each position or, for a loss that pairs positions with the next one, at the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CountedBy {
    unit: Unit,
    next_token: bool,
}

impl CountedBy {
    fn all() -> impl Iterator<Item = Self> {
        let units = |next_token| UNITS.into_iter().map(move |unit| CountedBy { unit, next_token });
        units(false).chain(units(true))
    }
}

/// The counts of one batch: its rows, and the positions of the masks and labels that the batch itself
/// provides.
#[derive(Debug)]
pub struct BatchCounts {
    rows: usize,
    counts: BTreeMap<CountedBy, MaskCounts>,
    losses: Option<Vec<Tensor>>,
}

/// The counts of one mask, float32 scalars.
#[derive(Debug)]
struct MaskCounts {
    rows: Tensor,
    tokens: Tensor,
    /// Of a mask, and only if a loss averages over pairs, since counting them takes the square of the length.
    pairs: Option<Tensor>,
}

impl BatchCounts {
    /// Counts a batch of the student for these losses.
    pub(super) fn of<'l, A: Adaptor>(
        student: &dyn ErasedModel<A::Batch>,
        batch: &A::Batch,
        losses: impl Iterator<Item = Ref<'l, dyn Loss>>,
    ) -> Result<Self> {
        let (mut next_token, mut pairs) = (false, false);
        for loss in losses {
            next_token |= loss.pairs_next_token();
            pairs |= loss.average(true) == Average::Pairs;
        }
        let mut counts = BTreeMap::new();
        for counted in CountedBy::all().filter(|counted| next_token || !counted.next_token) {
            if let Some(found) = counted.of::<A>(batch, pairs)? {
                counts.insert(counted, found);
            }
        }
        let losses = student.losses_count(batch).in_stage(Losses::NAME)?;
        let losses = losses
            .map(|counts| counts.iter().map(|count| Ok(count.f_sum(Kind::Float)?)).collect::<Result<_>>());
        Ok(BatchCounts { rows: Batch::rows(batch), counts, losses: losses.transpose()? })
    }
}

impl Window {
    /// Adds up the counts of one task's batches, in a window of `batches` batches of all tasks. If the window
    /// also has batches of other tasks, the task's loss over its own rows is multiplied by its share of the
    /// batches.
    pub fn sum(semantics: Semantics, batches: usize, of_batches: &[&BatchCounts]) -> Result<Self> {
        let share = of_batches.len() as f64 / batches.max(1) as f64;
        let rows: f64 = of_batches.iter().map(|batch| batch.rows as f64).sum();
        let mut counts = BTreeMap::new();
        for counted in CountedBy::all() {
            let found: Option<Vec<&MaskCounts>> =
                of_batches.iter().map(|batch| batch.counts.get(&counted)).collect();
            if let Some(found) = found.filter(|found| !found.is_empty()) {
                counts.insert(counted, MaskCounts::sum(&found, share)?);
            }
        }
        let losses: Option<Vec<&[Tensor]>> = of_batches.iter().map(|batch| batch.losses.as_deref()).collect();
        let losses = losses.and_then(|each| sum_by_head(&each, share)).transpose()?;
        Ok(Window { semantics, batches, rows: rows / share, counts, losses })
    }

    /// One batch's share of the window.
    pub(super) fn share(&self) -> f64 {
        1.0 / self.batches.max(1) as f64
    }

    /// The share of this batch's term in the window's loss.
    pub(super) fn divide(&self, term: &Term, of: &Divided<'_>) -> Result<Tensor> {
        if self.semantics == Semantics::TextBrewer {
            return self.mean_of_means(term);
        }
        if (of.role, term.average) == (Losses::NAME, Average::Labels) {
            return match of_head(self.losses.as_deref(), of.head, of.heads) {
                Some(count) => term.over(count),
                None => self.mean_of_means(term),
            };
        }
        let mask = of.mask.filter(|_| of.loss.masks() != Masks::Ignored);
        let unit = match term.average {
            Average::Labels => Some(Unit::Labels { under: mask }),
            _ => mask.map(Unit::Mask),
        };
        let counted = unit.map(|unit| CountedBy { unit, next_token: of.loss.pairs_next_token() });
        match (term.average, counted.and_then(|counted| self.counts.get(&counted))) {
            (Average::Rows, _) => Ok(term.sum.f_div_scalar(self.rows.max(1.0))?),
            (Average::RowsWithTokens, Some(counts)) => term.over(&counts.rows),
            (Average::Tokens | Average::Labels, Some(counts)) => term.over(&counts.tokens),
            (Average::Pairs, Some(MaskCounts { pairs: Some(pairs), .. })) => term.over(pairs),
            (
                Average::RowsWithTokens | Average::Tokens | Average::Pairs | Average::Labels | Average::Own,
                _,
            ) => self.mean_of_means(term),
        }
    }

    fn mean_of_means(&self, term: &Term) -> Result<Tensor> {
        Ok(term.mean()?.f_div_scalar(self.batches.max(1) as f64)?)
    }
}

impl MaskCounts {
    fn of(mask: &Tensor, pairs: bool) -> Result<Self> {
        let pairs = pairs && mask.dim() == 2;
        Ok(MaskCounts {
            rows: row_count(mask, Kind::Float)?,
            tokens: token_count(mask, Kind::Float)?,
            pairs: pairs.then(|| pair_count(mask, Kind::Float)).transpose()?,
        })
    }

    fn sum(counts: &[&MaskCounts], share: f64) -> Result<Self> {
        let pairs: Option<Vec<&Tensor>> = counts.iter().map(|counts| counts.pairs.as_ref()).collect();
        let total = |counts: Vec<&Tensor>| -> Result<Tensor> {
            let total = Tensor::f_stack(&counts, 0)?.f_sum(None)?;
            if share == 1.0 { Ok(total) } else { Ok(total.f_div_scalar(share)?) }
        };
        Ok(MaskCounts {
            rows: total(counts.iter().map(|counts| &counts.rows).collect())?,
            tokens: total(counts.iter().map(|counts| &counts.tokens).collect())?,
            pairs: pairs.map(total).transpose()?,
        })
    }
}

/// The counts of each loss in all batches together; `None` if batches have different losses.
fn sum_by_head(batches: &[&[Tensor]], share: f64) -> Option<Result<Vec<Tensor>>> {
    let heads = batches.first()?.len();
    let alike = batches.iter().all(|batch| batch.len() == heads);
    let total = |head: usize| {
        let of_batches: Vec<&Tensor> = batches.iter().map(|batch| &batch[head]).collect();
        Ok(Tensor::f_stack(&of_batches, 0)?.f_sum(None)?.f_div_scalar(share)?)
    };
    alike.then(|| (0..heads).map(total).collect())
}

/// The positions that the inputs' mask of a batch keeps, an int64 scalar on its device; `None` if the batch
/// alone does not provide the mask.
pub(crate) fn tokens<A: Adaptor>(batch: &A::Batch) -> Result<Option<Tensor>> {
    let mask = alone::<A>(InputsMask::NAME, batch)?;
    mask.map(|mask| token_count(&mask, Kind::Int64).in_stage(InputsMask::NAME)).transpose()
}

impl CountedBy {
    /// The counts in a batch; `None` if the batch alone does not provide them.
    fn of<A: Adaptor>(self, batch: &A::Batch, pairs: bool) -> Result<Option<MaskCounts>> {
        // With one mask per head, each head has its own count and averages separately.
        let (role, counted) = match self.unit {
            Unit::Mask(role) => (role, self.masked::<A>(role, batch)?),
            Unit::Labels { under } => (Labels::NAME, self.labelled::<A>(under, batch)?),
        };
        let pairs = pairs && matches!(self.unit, Unit::Mask(_));
        counted.map(|counted| MaskCounts::of(&counted, pairs).in_stage(role)).transpose()
    }

    /// The positions of a mask.
    fn masked<A: Adaptor>(self, role: &'static str, batch: &A::Batch) -> Result<Option<Tensor>> {
        let Some(mask) = alone::<A>(role, batch)? else { return Ok(None) };
        if !self.next_token {
            return Ok(Some(mask));
        }
        if mask.dim() != 2 {
            return Ok(None);
        }
        let Some(targets) = targets::<A>(Some(&mask), batch)? else { return Ok(None) };
        targets.mask(Some(&mask))
    }

    /// Which labels of the batch count: if a mask is read, only those under the mask.
    fn labelled<A: Adaptor>(self, under: Option<&'static str>, batch: &A::Batch) -> Result<Option<Tensor>> {
        let Some(labels) = alone::<A>(Labels::NAME, batch)? else { return Ok(None) };
        let mask = under.map(|role| alone::<A>(role, batch)).transpose()?.flatten();
        let mask = mask.filter(|mask| mask.size() == labels.size());
        // A mask that the model computes, or one per head, is not known here.
        if mask.is_none() && labels.dim() > 1 && under.is_some_and(|role| A::ROLES.contains(&role)) {
            return Ok(None);
        }
        let (labels, mask) = if self.next_token {
            if labels.dim() != 2 {
                return Ok(None);
            }
            let Some(targets) = targets::<A>(mask.as_ref(), batch)? else { return Ok(None) };
            (targets.labels(&labels)?, targets.mask(mask.as_ref())?)
        } else {
            (labels, mask)
        };
        let counts = labels.f_ge(0)?;
        Ok(Some(match mask {
            Some(mask) => counts.f_logical_and(&mask.f_to_kind(Kind::Bool)?)?,
            None => counts,
        }))
    }
}

/// The targets of a batch of texts; `None` if the batch alone does not say which positions are tokens, or has none.
fn targets<A: Adaptor>(mask: Option<&Tensor>, batch: &A::Batch) -> Result<Option<Targets>> {
    let documents = alone::<A>(InputsMask::NAME, batch)?;
    let unknown = documents.is_none() && A::ROLES.contains(&InputsMask::NAME);
    if unknown || documents.as_ref().or(mask).is_some_and(|numbers| numbers.dim() != 2) {
        return Ok(None);
    }
    Targets::of(mask, documents.as_ref()).map(Some)
}

/// The tensor that the batch alone provides for a role.
fn alone<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(tensors) = A::read_batch(role, batch)? else { return Ok(None) };
    Ok(<[Tensor; 1]>::try_from(tensors.into_tensors()).ok().map(|[tensor]| tensor))
}
