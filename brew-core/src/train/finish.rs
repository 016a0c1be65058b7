//! The end of a run: what is written after the last step.

use std::path::Path;

use super::caller::{Caller, Tell};
use super::run::Run;
use super::run_folder::RunFolder;
use super::task::learned_of;
use crate::error::Result;
use crate::observe::{Event, Summary};
use crate::parameters::{Parameters, write_weights};

impl Run<'_, '_> {
    /// Reports how the run ended, and writes the student and the parameters learned beside it.
    ///
    /// # Errors
    /// Errors of the device while counts are read from it. A failed write is only a warning: the
    /// trained student is in memory and must not be lost.
    pub(super) fn finish(
        &mut self,
        caller: &dyn Caller,
        tell: &mut Tell<'_>,
    ) -> Result<(Parameters, Summary)> {
        self.tell_of_caches(tell);
        if self.stops_early() && self.step < self.length.steps {
            tell(&Event::Warning(&format!(
                "stopped after step {} of {}: the first metric has not improved for {} evaluations",
                self.step, self.length.steps, self.evaluations_since_best
            )));
        }
        self.compare_students()?;
        let left = self.ranks.exchange("the end of the run", Ok(std::mem::take(&mut self.warnings)))?;
        for (rank, warning) in
            left.iter().enumerate().flat_map(|(rank, of)| of.iter().map(move |text| (rank, text)))
        {
            tell(&Event::Warning(&format!("rank {rank}: {warning}")));
        }
        let summary = self.summary()?;
        let learned = learned_of(self.tasks);
        self.ranks.lead("writing the student", || {
            tell(&Event::Finished(&summary));
            if let Some(folder) = self.folder {
                write(folder, caller, &learned, &summary, tell);
            }
            Ok(())
        })?;
        Ok((learned, summary))
    }

    fn summary(&mut self) -> Result<Summary> {
        let tokens = self.tokens.read()?;
        Ok(Summary {
            steps: self.step,
            examples: self.examples,
            tokens,
            seconds: self.seconds,
            examples_per_second: self.per_second(self.examples),
            tokens_per_second: tokens.map(|tokens| self.per_second(tokens)),
            evaluations: self.evaluations.clone(),
            skipped: self.skipped,
            best: self.best.clone(),
        })
    }
}

fn write(
    folder: &RunFolder,
    caller: &dyn Caller,
    learned: &Parameters,
    summary: &Summary,
    tell: &mut Tell<'_>,
) {
    let mut whole = true;
    let mut wrote = |path: &Path, written: Result<()>| match written {
        Ok(()) => tell(&Event::Saved(path)),
        Err(error) => {
            whole = false;
            tell(&Event::Warning(&format!("could not write to the run folder: {error}")));
        }
    };
    wrote(&folder.student(), caller.save(&folder.student()));
    if learned.scalars() > 0 {
        wrote(&folder.projections(), write_weights(&folder.projections(), learned));
    }
    // A run without its student is unfinished: started again, it resumes from its last checkpoint.
    let finished = if whole { folder.finish(summary) } else { Ok(()) };
    if let Err(error) = finished {
        tell(&Event::Warning(&format!("could not mark the run as finished: {error}")));
    }
}
