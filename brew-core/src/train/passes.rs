//! The forward and backward passes of one optimizer step: those of this rank's share, and what ranks tell one another
//! after them.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use tracing::debug_span;

use super::buffers::Buffers;
use super::caller::Tell;
use super::drawn::Drawn;
use super::erased_executor::Notes;
use super::noted::{Forward, bytes};
use super::run::Run;
use super::signals::Listening;
use super::task::{learned_of, student_of};
use crate::error::{Error, Result};
use crate::observe::{BatchReport, Event};
use crate::parameters::Parameters;
use crate::ranks::Tree;

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
        let mut tree = self.settings.exact_sums.then(|| Tree::new(self.trained()));
        let notes = self.notes(drawn);
        let own = self.own_passes(drawn, (log, notes), tree.as_mut(), tell);
        let mut noted = Vec::new();
        let own = own.map(|(own, of_own)| {
            noted = of_own;
            own
        });
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
        }
        if finite {
            if notes == Notes::AfterThePasses {
                self.tell_losses(&self.ranks.gather("the terms of the losses", &noted)?)?;
            }
            let _span = (!self.ranks.alone()).then(|| debug_span!("all_reduce").entered());
            match tree {
                Some(tree) => self.ranks.sum_exactly(tree)?,
                None => {
                    self.ranks.sum_gradients(&student_of(self.tasks))?;
                    self.ranks.sum_gradients(&learned_of(self.tasks))?;
                }
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

    /// The batches of this rank, and a message with what losses of other ranks need to know of them.
    fn own_passes(
        &mut self,
        drawn: &Drawn<'_>,
        (log, notes): (bool, Notes),
        mut tree: Option<&mut Tree>,
        tell: &mut Tell<'_>,
    ) -> Result<(OfRank, Vec<u8>)> {
        let mut own = OfRank { finite: true, ..OfRank::default() };
        let (batches, share) = (drawn.batches.len(), self.ranks.share(drawn.batches.len()));
        let mut noted = Vec::new();
        for (index, next) in drawn.batches.iter().enumerate() {
            let is_own = share.contains(&index);
            if !is_own && notes != Notes::InTurn {
                continue;
            }
            let mut forward = Ok(Forward::OfAnotherRank);
            if is_own {
                let of_task = drawn.counts.get(&next.task).and_then(Option::as_ref);
                forward = self.forward((index, next), of_task, tell).map_err(|error| self.at(next, error));
            }
            if notes == Notes::InTurn {
                forward = self.take_turn((index, next.task), forward);
            }
            let losses = match forward? {
                Forward::OfAnotherRank => continue,
                Forward::NotFinite => {
                    own.finite = false;
                    break;
                }
                Forward::Done(losses) => losses,
            };
            self.backward(&losses).map_err(|error| self.at(next, error))?;
            if let Some(tree) = &mut tree {
                tree.take(index)?;
            }
            if log {
                let losses = self.tasks[next.task].values(&losses).map_err(|error| self.at(next, error))?;
                let report = BatchReport { epoch: next.epoch, step: self.step + 1, index, batches, losses };
                if self.ranks.alone() {
                    tell(&Event::Batch(&report));
                }
                own.reports.push(report);
            }
            noted.extend(losses.noted.into_iter().map(|noted| (next.task, noted)));
        }
        let noted = match notes {
            Notes::AfterThePasses => bytes(noted.iter().map(|(task, noted)| (*task, noted)))?,
            Notes::Nothing | Notes::InTurn => Vec::new(),
        };
        if !self.ranks.alone() {
            own.warnings = std::mem::take(&mut self.warnings);
            own.asked = self.signals.as_ref().is_some_and(Listening::asked);
            own.due = self.ranks.leads() && self.is_due();
        }
        Ok((own, noted))
    }

    /// Everything that is trained, each tensor once.
    fn trained(&self) -> Vec<(String, Tensor)> {
        let of = |parameters: &Parameters| -> Vec<(String, Tensor)> {
            let trained = parameters.distinct().filter(|(_, tensor)| tensor.requires_grad());
            trained.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect()
        };
        let (mut student, learned) = (of(&student_of(self.tasks)), of(&learned_of(self.tasks)));
        student.extend(learned);
        student
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
