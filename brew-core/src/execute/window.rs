//! What a window of accumulated batches counts, known before any of them is run.
//!
//! A loss over a window divides by the rows or tokens of the whole window, so that one batch of 16
//! and four of 4 give the same gradient whatever their padding. Masks that a model makes itself are
//! not known beforehand; a loss over such a mask averages the batches' own means instead.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::distill::mask_of;
use crate::error::{InStage, Result};
use crate::loss::{Average, Term};
use crate::plan::Semantics;
use crate::role::{InputsMask, LogitsMask, Role};

/// What the batches of one optimizer step count together.
#[derive(Debug)]
pub struct Window {
    semantics: Semantics,
    batches: usize,
    rows: f64,
    tokens: BTreeMap<&'static str, Tensor>,
}

impl Window {
    /// Counts the batches of a window.
    pub fn of<T, A: Adaptor, B: Feeds<T, A::Batch>>(semantics: Semantics, batches: &[B]) -> Result<Self> {
        let rows = batches.iter().map(|batch| Batch::rows(batch.student()) as f64).sum();
        let mut tokens = BTreeMap::new();
        for role in [InputsMask::NAME, LogitsMask::NAME] {
            let counts = batches
                .iter()
                .map(|batch| count::<A>(role, batch.student()))
                .collect::<Result<Option<Vec<_>>>>()?;
            if let Some(counts) = counts.filter(|counts| !counts.is_empty()) {
                tokens.insert(role, Tensor::f_stack(&counts, 0)?.f_sum(None)?);
            }
        }
        Ok(Window { semantics, batches: batches.len(), rows, tokens })
    }

    /// The share of this batch's term in the window's loss.
    pub(super) fn divide(&self, term: &Term, role: &str) -> Result<Tensor> {
        if self.semantics == Semantics::TextBrewer {
            return self.mean_of_means(term);
        }
        match (term.average, mask_of(role).and_then(|mask| self.tokens.get(mask))) {
            (Average::Rows, _) => Ok(term.sum.f_div_scalar(self.rows.max(1.0))?),
            (Average::Tokens, Some(tokens)) => term.over(tokens),
            (Average::Tokens, None) => self.mean_of_means(term),
        }
    }

    fn mean_of_means(&self, term: &Term) -> Result<Tensor> {
        Ok(term.mean()?.f_div_scalar(self.batches.max(1) as f64)?)
    }
}

/// The positions of a mask that the batch alone gives.
fn count<A: Adaptor>(role: &'static str, batch: &A::Batch) -> Result<Option<Tensor>> {
    let Some(masks) = A::read_batch(role, batch)? else { return Ok(None) };
    // Several masks, one a head, each have a count of their own: they average by themselves.
    let [mask] =
        masks.into_tensors().try_into().map_or([const { None }; 1], |[mask]: [Tensor; 1]| [Some(mask)]);
    mask.map(|mask| mask.f_to_kind(Kind::Bool)?.f_sum(Kind::Float).in_stage(role)).transpose()
}
