//! The forward and backward passes of one optimizer step: those of this rank's share, and what ranks tell one another
//! after them.

use serde::{Deserialize, Serialize};
use tch::Device;
use tracing::debug_span;

use super::buffers::Buffers;
use super::caller::Tell;
use super::drawn::Drawn;
use super::optimizer::SparseUpdates;
use super::random::mix;
use super::run::Run;
use super::signals::Listening;
use super::task::{learned_of, student_of};
use super::windows::NextBatch;
use super::work::MicroBatch;
use crate::error::{During, Error, Result};
use crate::execute::{StepLosses, Window};
use crate::observe::{BatchReport, Event};
use crate::pass::{Pass, Wants};

/// What the passes of a step gave, on all ranks.
pub(super) struct Passed {
    /// Whether all losses were finite.
    pub(super) finite: bool,
    /// The losses of the step, if they are logged.
    pub(super) losses: Option<Vec<(String, f64)>>,
}

/// What a rank tells after its passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OfRank {
    finite: bool,
    /// Of each batch that ran, if losses are logged.
    reports: Vec<BatchReport>,
    warnings: Vec<String>,
    /// Whether a signal asks the run to end.
    asked: bool,
    /// Whether a checkpoint is due by the clock, which is rank 0's.
    due: bool,
}

impl Run<'_, '_> {
    /// Runs the batches of a step, and sums the gradients over all ranks.
    pub(super) fn passes(
        &mut self,
        drawn: &Drawn<'_>,
        buffers: &Buffers,
        log: bool,
        tell: &mut Tell<'_>,
    ) -> Result<Passed> {
        let own = self.own_passes(drawn, log, tell);
        let own = own.and_then(|own| if self.ranks.alone() { Ok(own) } else { self.unchanged(buffers, own) });
        let all = match self.ranks.exchange(&format!("step {}", self.step + 1), own) {
            Ok(all) => all,
            Err(error) => {
                buffers.put_back(self.tasks)?;
                return Err(error);
            }
        };
        let finite = all.iter().all(|of| of.finite);
        self.skipped += u64::from(!finite);
        if !self.ranks.alone() {
            self.asked = all.iter().any(|of| of.asked);
            self.due = all.iter().any(|of| of.due);
            self.tell_of_others(&all, tell);
            if finite {
                let _span = debug_span!("all_reduce").entered();
                self.ranks.sum_gradients(&student_of(self.tasks))?;
                self.ranks.sum_gradients(&learned_of(self.tasks))?;
            }
        }
        let mut losses = log.then(Vec::new);
        if let Some(losses) = &mut losses {
            for report in all.iter().flat_map(|of| &of.reports) {
                add_up(losses, &report.losses);
            }
        }
        Ok(Passed { finite, losses })
    }

    fn own_passes(&mut self, drawn: &Drawn<'_>, log: bool, tell: &mut Tell<'_>) -> Result<OfRank> {
        let mut own = OfRank { finite: true, ..OfRank::default() };
        let batches = drawn.batches.len();
        for index in self.ranks.share(batches) {
            let next = &drawn.batches[index];
            let of_task = drawn.counts.get(&next.task).and_then(Option::as_ref);
            let values = self.pass((index, next), of_task, log, tell)?;
            let Some(losses) = values else {
                own.finite = false;
                break;
            };
            if log {
                let report = BatchReport { epoch: next.epoch, step: self.step + 1, index, batches, losses };
                if self.ranks.alone() {
                    tell(&Event::Batch(&report));
                }
                own.reports.push(report);
            }
        }
        if !self.ranks.alone() {
            own.warnings = std::mem::take(&mut self.warnings);
            own.asked = self.signals.as_ref().is_some_and(Listening::asked);
            own.due = self.ranks.leads() && self.is_due();
        }
        Ok(own)
    }

    /// Refuses buffers that training changes: each rank would have those of its own batches.
    fn unchanged(&self, buffers: &Buffers, own: OfRank) -> Result<OfRank> {
        match buffers.changed(self.tasks)? {
            Some(name) => Err(Error::invalid(format!(
                "the student's buffer `{name}` changes in training, as the running statistics of a batch norm do, and would differ between ranks: this is not supported yet; start the run alone"
            ))),
            None => Ok(own),
        }
    }

    /// On rank 0, tells of the batches of all ranks, and of the other ranks' warnings.
    fn tell_of_others(&self, all: &[OfRank], tell: &mut Tell<'_>) {
        for (rank, of) in all.iter().enumerate() {
            for warning in &of.warnings {
                tell(&Event::Warning(&format!("rank {rank}: {warning}")));
            }
            for report in &of.reports {
                tell(&Event::Batch(report));
            }
        }
    }

    /// Forward and backward pass of one batch of a window. Returns the values of its losses, empty if they
    /// are not logged; `None` if the loss is not finite and the step must be skipped.
    fn pass(
        &mut self,
        (index, next): (usize, &NextBatch<'_>),
        window: Option<&Window>,
        log: bool,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Vec<(String, f64)>>> {
        let settings = self.settings;
        // Reseeded for every batch, so that a step can be replayed without the steps before it, and on any rank.
        tch::manual_seed(mix(settings.seed, self.step, index as u64));
        // On a GPU, sparse gradients would require reading back the number of rows in every step.
        let sparse = self.device == Device::Cpu || settings.sparse_updates == SparseUpdates::RowsInUse;
        let pass = Pass::training(self.step, Wants::nothing()).of_steps(self.length.steps);
        let pass = pass.recomputing(settings.gradient_checkpointing).with_sparse_gradients(sparse);
        let pass = pass.with_dropout(settings.student_dropout);
        let losses =
            next.batch().and_then(|batch| batch.run(&pass, window)).map_err(|error| self.at(next, error))?;
        if self.ranks.alone() {
            let tokens = next.batch().and_then(MicroBatch::tokens).map_err(|error| self.at(next, error))?;
            self.tokens.add(tokens)?;
        }
        if !self.is_finite(index, next, &losses, tell).map_err(|error| self.at(next, error))? {
            return Ok(None);
        }
        self.backward(&losses).map_err(|error| self.at(next, error))?;
        Ok(Some(if log { self.tasks[next.task].values(&losses)? } else { Vec::new() }))
    }

    fn backward(&self, losses: &StepLosses) -> Result<()> {
        let scaled = self.scale.as_ref().map(|scale| scale.scaled(&losses.total)).transpose()?;
        let _span = debug_span!("backward").entered();
        Ok(scaled.as_ref().unwrap_or(&losses.total).f_backward()?)
    }

    /// Adds the batch to an error that it caused.
    pub(super) fn at(&self, next: &NextBatch<'_>, error: Error) -> Error {
        let task = self.tasks[next.task].name.clone();
        error.during(During::Batch { task, epoch: next.epoch, batch: next.index })
    }
}

/// Adds a batch's share to the losses of its window.
fn add_up(logged: &mut Vec<(String, f64)>, losses: &[(String, f64)]) {
    for (name, value) in losses {
        match logged.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => logged.push((name.clone(), *value)),
        }
    }
}
