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
    labels: Option<Tensor>,
    masks: BTreeMap<&'static str, Counts>,
}

/// What one mask counts, float32 scalars.
#[derive(Debug)]
struct Counts {
    tokens: Tensor,
    pairs: Tensor,
}

impl Window {
    /// Counts the batches of a window.
    pub fn of<T, A: Adaptor, B: Feeds<T, A::Batch>>(semantics: Semantics, batches: &[B]) -> Result<Self> {
        let rows = batches.iter().map(|batch| Batch::rows(batch.student()) as f64).sum();
        let mut masks = BTreeMap::new();
        for role in [InputsMask::NAME, LogitsMask::NAME] {
            let counts = batches
                .iter()
                .map(|batch| count::<A>(role, batch.student()))
                .collect::<Result<Option<Vec<_>>>>()?;
            if let Some(counts) = counts.filter(|counts| !counts.is_empty()) {
                masks.insert(role, Counts::sum(&counts)?);
            }
        }
        let labels = batches
            .iter()
            .map(|batch| labelled::<A>(batch.student()))
            .collect::<Result<Option<Vec<_>>>>()?
            .filter(|counts| !counts.is_empty());
        let labels = labels.map(|counts| Tensor::f_stack(&counts, 0)?.f_sum(None)).transpose()?;
        Ok(Window { semantics, batches: batches.len(), rows, labels, masks })
    }

    /// The share of this batch's term in the window's loss.
    pub(super) fn divide(&self, term: &Term, role: &str) -> Result<Tensor> {
        if self.semantics == Semantics::TextBrewer {
            return self.mean_of_means(term);
        }
        if term.average == Average::Labels
            && let Some(labels) = &self.labels
        {
            return term.over(labels);
        }
        match (term.average, mask_of(role).and_then(|mask| self.masks.get(mask))) {
            (Average::Rows, _) => Ok(term.sum.f_div_scalar(self.rows.max(1.0))?),
            (Average::Tokens, Some(counts)) => term.over(&counts.tokens),
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

    fn sum(counts: &[Counts]) -> Result<Self> {
        let total = |of: fn(&Counts) -> &Tensor| -> Result<Tensor> {
            Ok(Tensor::f_stack(&counts.iter().map(of).collect::<Vec<_>>(), 0)?.f_sum(None)?)
        };
        Ok(Counts { tokens: total(|counts| &counts.tokens)?, pairs: total(|counts| &counts.pairs)? })
    }
}

/// How many labels count, of those that the batch alone gives: where logits have a mask, under it.
fn labelled<A: Adaptor>(batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(labels) = alone::<A>(Labels::NAME, batch)? else { return Ok(None) };
    let counts = labels.f_ge(0)?;
    let counts = match alone::<A>(LogitsMask::NAME, batch)? {
        Some(mask) if mask.size() == labels.size() => counts.f_logical_and(&mask.f_to_kind(Kind::Bool)?)?,
        // A mask that the model makes, or one a head, is not known here.
        _ if labels.dim() > 1 && A::ROLES.contains(&LogitsMask::NAME) => return Ok(None),
        _ => counts,
    };
    Ok(Some(counts.f_sum(Kind::Float)?))
}

/// The one tensor that the batch alone gives for a role.
fn alone<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(tensors) = A::read_batch(role, batch)? else { return Ok(None) };
    Ok(<[Tensor; 1]>::try_from(tensors.into_tensors()).ok().map(|[tensor]| tensor))
}

/// What a mask counts that the batch alone gives.
fn count<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Counts>> {
    // Several masks, one a head, each have a count of their own: they average by themselves.
    alone::<A>(role, batch)?.map(|mask| Counts::of(&mask).in_stage(role)).transpose()
}
