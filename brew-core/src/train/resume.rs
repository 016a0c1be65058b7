//! Going on with a run: every part takes up what a checkpoint holds of it.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Tensor;

use super::caller::Tell;
use super::checkpoint::Read;
use super::outputs::{compare, outputs_of};
use super::precision::LossScale;
use super::run::Run;
use super::task::{learned_of, student_of};
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::observe::Event;
use crate::parameters::Parameters;

impl Run<'_, '_> {
    /// Takes up what this checkpoint holds, and says so.
    ///
    /// # Errors
    /// Names the checkpoint and every part that it does not fit.
    pub(super) fn resume(&mut self, checkpoint: &Path, read: &Read, tell: &mut Tell<'_>) -> Result<()> {
        let note = self.restore(read).map_err(|error| Error::file(checkpoint, error))?;
        tell(&Event::Resumed { step: self.step, checkpoint });
        if let Some(note) = note {
            tell(&Event::Warning(&note));
        }
        Ok(())
    }

    /// What the optimizer keeps (`student/…`, `learned/…`), losses carry (`loss/…`), and the scale.
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

    /// Resumes from a checkpoint of the same run; gives what a person should know of it.
    ///
    /// # Errors
    /// Names every part that the checkpoint does not fit; nothing is changed by that part then.
    fn restore(&mut self, read: &Read) -> Result<Option<String>> {
        let state = &read.state;
        // First, since it says what of the data differs: another batch size changes the number of steps too.
        self.windows.restore(&state.data, state.batches)?;
        if state.steps != self.length.steps {
            return Err(Error::invalid(format!(
                "the run was to have {} optimizer steps, now it has {}: an epoch has another number of batches",
                state.steps, self.length.steps
            )));
        }
        for (task, standing) in self.tasks.iter().zip(&state.data) {
            task.work.refill_caches(&standing.position)?;
        }
        student_of(self.tasks).take(&read.student, "the student is not that of the checkpoint")?;
        learned_of(self.tasks).take(&read.learned, "what is learned is not that of the checkpoint")?;
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
            let title = "the scale of the loss is not in the checkpoint";
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
