//! Resuming a run: every part restores its state from a checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Tensor;

use super::caller::Tell;
use super::checkpoint::ReadCheckpoint;
use super::outputs::{compare, outputs_of};
use super::precision::LossScale;
use super::run::Run;
use super::task::{learned_of, student_of};
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::observe::Event;
use crate::parameters::Parameters;

impl Run<'_, '_> {
    /// Restores the run from this checkpoint, and reports it.
    ///
    /// # Errors
    /// Names the checkpoint and every part that does not match it.
    pub(super) fn resume(
        &mut self,
        checkpoint: &Path,
        read: &ReadCheckpoint,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        let note = self.restore(read).map_err(|error| Error::file(checkpoint, error))?;
        tell(&Event::Resumed { step: self.step, checkpoint });
        if let Some(note) = note {
            tell(&Event::Warning(&note));
        }
        Ok(())
    }

    /// The optimizer's state (`student/…`, `learned/…`), the state of losses (`loss/…`), and the loss scale.
    pub(super) fn moments(&self) -> Result<Parameters> {
        let under = |prefix: &'static str| move |(name, tensor)| (format!("{prefix}/{name}"), tensor);
        let groups = (self.student.state().into_iter().map(under("student")))
            .chain(self.learned.state().into_iter().map(under("learned")));
        let mut named: Vec<(String, Tensor)> = groups.collect();
        for task in self.tasks {
            let carried = task.work.executor().carried()?.into_iter();
            named.extend(carried.map(|(name, tensor)| (format!("loss/{}", task.full_name(&name)), tensor)));
        }
        named.extend(self.scale.iter().flat_map(LossScale::state).map(under("loss_scale")));
        Ok(Parameters::new(named))
    }

    /// Restores every part from a checkpoint of the same run; returns a note to the user, if there is one.
    ///
    /// # Errors
    /// Names every part that does not match the checkpoint; such a part is left unchanged.
    fn restore(&mut self, read: &ReadCheckpoint) -> Result<Option<String>> {
        let state = &read.state;
        // First, because it reports how the data differs: a different batch size changes the number of steps
        // too.
        self.windows.restore(&state.data, state.batches)?;
        if state.steps != self.length.steps {
            return Err(Error::invalid(format!(
                "the run had {} optimizer steps and now has {}: the number of batches per epoch has changed",
                state.steps, self.length.steps
            )));
        }
        for (task, standing) in self.tasks.iter().zip(&state.data) {
            task.work.refill_caches(&standing.position)?;
        }
        student_of(self.tasks).take(&read.student, "the student does not match the checkpoint")?;
        learned_of(self.tasks)
            .take(&read.learned, "projections and loss parameters do not match the checkpoint")?;
        let under = |prefix: &str| -> BTreeMap<String, Tensor> {
            let named = read.moments.iter();
            named
                .filter_map(|(name, tensor)| {
                    Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone()))
                })
                .collect()
        };
        self.student.restore(&under("student/"), state.optimizer_steps)?;
        self.learned.restore(&under("learned/"), state.optimizer_steps)?;
        for task in self.tasks {
            task.work.executor().carry_on(&under(&format!("loss/{}", task.full_name(""))))?;
        }
        if let Some(scale) = &self.scale {
            let title = "the checkpoint lacks the loss scale";
            Parameters::new(scale.state()).take(&under("loss_scale/"), title)?;
        }
        self.step = state.step;
        self.examples = state.examples;
        self.tokens = Tokens::from(state.tokens);
        self.seconds = state.seconds;
        self.evaluations.clone_from(&state.evaluations);
        self.best.clone_from(&state.best);
        self.skipped = state.skipped;
        self.evaluations_since_best = state.evaluations_since_best;
        self.to_evaluate = state.to_evaluate;
        compare(&read.outputs, &outputs_of(self.tasks)?, self.low_precision)
    }
}
