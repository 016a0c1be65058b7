//! The batches of one optimizer step, with their counts: known before any of them runs, whichever rank has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracing::debug_span;

use super::run::Run;
use super::windows::NextBatch;
use super::work::MicroBatch;
use crate::error::{Error, Result};
use crate::execute::{BatchCounts, Window};

/// The batches of a step.
pub(super) struct Drawn<'r> {
    pub(super) batches: Vec<NextBatch<'r>>,
    /// For each task that has batches: what to divide its losses by; a batch that is alone needs nothing.
    pub(super) counts: BTreeMap<usize, Option<Window>>,
    /// The rows of all batches.
    pub(super) rows: u64,
}

/// What a rank tells of its share before the first pass.
#[derive(Serialize, Deserialize)]
struct Share {
    /// Task, epoch, and number of each batch of the whole step.
    batches: Vec<(usize, u64, usize)>,
    own: Vec<Counted>,
}

#[derive(Serialize, Deserialize)]
struct Counted {
    rows: u64,
    tokens: Option<i64>,
    #[serde(with = "crate::json::floats")]
    counts: Vec<f64>,
}

impl<'r> Run<'r, '_> {
    /// Draws the batches of the next step, lets the student answer their prompts if the plan says so, and counts them.
    ///
    /// # Errors
    /// Those of the data, on any rank, and of the rollout.
    pub(super) fn draw(&mut self) -> Result<Drawn<'r>> {
        let batches = {
            let _span = debug_span!("data").entered();
            self.windows.next()
        };
        if !self.ranks.alone() {
            return self.count_over_ranks(batches);
        }
        let mut batches = batches?;
        self.roll_out(&mut batches)?;
        let rows = batches.iter().map(|next| Ok(next.batch()?.rows())).sum::<Result<u64>>()?;
        let counts = match batches.len() {
            1 => Vec::new(),
            _ => {
                let counts = batches.iter().map(|next| {
                    next.batch().and_then(MicroBatch::counts).map_err(|error| self.at(next, error))
                });
                counts.collect::<Result<_>>()?
            }
        };
        Ok(Drawn { counts: self.by_task(&batches, &counts)?, rows, batches })
    }

    /// The counts of a step, for each task that has batches in it.
    fn by_task(
        &self,
        batches: &[NextBatch<'_>],
        counts: &[BatchCounts],
    ) -> Result<BTreeMap<usize, Option<Window>>> {
        if let [alone] = batches {
            return Ok(BTreeMap::from([(alone.task, None)]));
        }
        let mut of_tasks: BTreeMap<usize, Vec<&BatchCounts>> = BTreeMap::new();
        for (next, counts) in batches.iter().zip(counts) {
            of_tasks.entry(next.task).or_default().push(counts);
        }
        of_tasks
            .into_iter()
            .map(|(task, counts)| Ok((task, Some(Window::sum(self.semantics, batches.len(), &counts)?))))
            .collect()
    }

    /// Each rank counts its share and tells the others.
    fn count_over_ranks(&mut self, batches: Result<Vec<NextBatch<'r>>>) -> Result<Drawn<'r>> {
        let (mut drawn, step) = (Vec::new(), self.step + 1);
        let share = batches.and_then(|batches| {
            let own = &batches[self.ranks.share(batches.len())];
            let own = own.iter().map(|next| self.counted(next)).collect::<Result<_>>()?;
            drawn = batches;
            Ok(Share { batches: drawn.iter().map(|next| (next.task, next.epoch, next.index)).collect(), own })
        });
        let shares = self.ranks.exchange(&format!("data of step {step}"), share)?;
        let other = shares.iter().enumerate().find(|(_, share)| share.batches != shares[0].batches);
        if let Some((rank, Share { batches, .. })) = other {
            // All ranks find this.
            self.ranks.end_together();
            return Err(Error::invalid(format!(
                "rank 0 has the batches {:?} for step {step}, rank {rank} has {batches:?} (task, epoch, number): the data must be the same on all ranks",
                shares[0].batches
            )));
        }
        let counted: Vec<Counted> = shares.into_iter().flat_map(|share| share.own).collect();
        let tokens: Option<i64> = counted.iter().map(|counted| counted.tokens).sum();
        self.tokens.add(tokens.map(tch::Tensor::from))?;
        let rows = counted.iter().map(|counted| counted.rows).sum();
        let counts: Vec<BatchCounts> = counted
            .iter()
            .map(|counted| BatchCounts::from_numbers(&counted.counts))
            .collect::<Result<_>>()?;
        Ok(Drawn { counts: self.by_task(&drawn, &counts)?, rows, batches: drawn })
    }

    fn counted(&self, next: &NextBatch<'_>) -> Result<Counted> {
        let of_batch = || {
            let batch = next.batch()?;
            let tokens = batch.tokens()?.map(|tokens| tokens.f_int64_value(&[])).transpose()?;
            Ok(Counted { rows: batch.rows(), tokens, counts: batch.counts()?.to_numbers()? })
        };
        of_batch().map_err(|error| self.at(next, error))
    }
}
