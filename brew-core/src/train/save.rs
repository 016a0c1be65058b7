//! Writing a run's checkpoints, and reporting on its teacher caches.

use std::path::PathBuf;
use std::time::Instant;

use tracing::info_span;

use super::caller::Tell;
use super::checkpoint::{Checkpoint, State};
use super::outputs::{compare_over_ranks, outputs_of};
use super::run::Run;
use super::same::with_weights;
use super::task::{learned_of, student_of};
use crate::error::Result;
use crate::observe::Event;
use crate::ranks::Agreement;

impl Run<'_, '_> {
    /// Writes a checkpoint, on rank 0 alone, and returns its path on all ranks; a failed write does not end the run.
    ///
    /// # Errors
    /// Ranks that are gone, or whose students differ.
    pub(super) fn checkpoint(&mut self, tell: &mut Tell<'_>) -> Result<Option<PathBuf>> {
        self.saved_at = Instant::now();
        if self.settings.run_dir.is_none() {
            return Ok(None);
        }
        // Flushed first, so that a run that resumes here finds every row that this one found.
        self.tasks.iter().for_each(|task| task.work.executor().flush_caches());
        self.compare_students()?;
        let ranks = self.ranks;
        ranks.lead(&format!("checkpoint of step {}", self.step), || Ok(self.write_checkpoint(tell)))
    }

    /// Refuses to continue if the ranks no longer train the same student.
    pub(super) fn compare_students(&self) -> Result<()> {
        if self.ranks.alone() {
            return Ok(());
        }
        let doing = format!("comparing the students of step {}", self.step);
        self.ranks.compare(&doing, with_weights(Agreement::new(), self.tasks))?;
        compare_over_ranks(self.ranks, &doing, outputs_of(self.tasks), self.low_precision)
    }

    fn write_checkpoint(&mut self, tell: &mut Tell<'_>) -> Option<PathBuf> {
        let folder = self.folder?;
        let _span = info_span!("checkpoint", step = self.step).entered();
        let path = folder.checkpoint(self.step);
        let (student, learned) = (student_of(self.tasks), learned_of(self.tasks));
        let written = self.state().and_then(|state| {
            let (moments, outputs) = (&self.moments()?, &outputs_of(self.tasks)?);
            let (student, learned) = (&student, &learned);
            Checkpoint { student, learned, moments, outputs, state: &state }.write(&path)
        });
        if let Err(error) = written {
            let text = format!(
                "could not write the checkpoint of step {}: {error}; training continues; the previous checkpoint is kept",
                self.step
            );
            tell(&Event::Warning(&text));
            return None;
        }
        tell(&Event::Saved(&path));
        // The new checkpoint is complete before an older one is removed.
        let kept = self.settings.keep_checkpoints.map_or(Ok(()), |newest| folder.keep(newest, self.step));
        if let Err(error) = kept {
            tell(&Event::Warning(&format!("older checkpoints could not be removed: {error}")));
        }
        Some(path)
    }

    /// The progress of the run.
    pub(super) fn state(&mut self) -> Result<State> {
        Ok(State {
            step: self.step,
            steps: self.length.steps,
            optimizer_steps: self.student.steps_done(),
            batches: self.windows.drawn,
            data: self.windows.standings(),
            examples: self.examples,
            tokens: self.tokens.read()?,
            seconds: self.seconds,
            evaluations: self.evaluations.clone(),
            best: self.best.clone(),
            evaluations_since_best: self.evaluations_since_best,
            skipped: self.skipped,
            to_evaluate: self.to_evaluate,
        })
    }

    /// Flushes the teachers' caches and reports what they did since the last call.
    pub(super) fn tell_of_caches(&mut self, tell: &mut Tell<'_>) {
        for task in self.tasks {
            task.work.executor().flush_caches();
            let (reports, warnings) = task.work.executor().cache_reports();
            for report in reports.iter().filter(|report| report.found + report.computed > 0) {
                tell(&Event::TeacherCache { step: self.step, report });
            }
            for warning in warnings {
                self.warn(warning, tell);
            }
        }
    }

    /// Tells a warning that concerns this rank: the other ranks send theirs to rank 0.
    pub(super) fn warn(&mut self, warning: String, tell: &mut Tell<'_>) {
        if self.ranks.leads() {
            tell(&Event::Warning(&warning));
        } else {
            self.warnings.push(warning);
        }
    }
}
