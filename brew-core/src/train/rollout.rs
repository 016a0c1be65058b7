//! Lets the student answer the prompts of an optimizer step, before its batches are counted.

use super::run::Run;
use super::windows::NextBatch;
use super::work::MicroBatch;
use crate::error::Result;
use crate::rollout::TextRow;

impl Run<'_, '_> {
    /// Replaces the rows of the tasks whose plans have a rollout.
    pub(super) fn roll_out(&self, batches: &mut [NextBatch<'_>]) -> Result<()> {
        for (index, task) in self.tasks.iter().enumerate() {
            let executor = task.work.executor();
            if executor.plan().rollout().is_none() {
                continue;
            }
            let own: Vec<&mut NextBatch<'_>> = batches.iter_mut().filter(|next| next.task == index).collect();
            let texts = own
                .iter()
                .map(|next| next.batch().and_then(MicroBatch::texts).map_err(|error| self.at(next, error)));
            let texts = texts.collect::<Result<Vec<Vec<TextRow>>>>()?;
            // Tasks have draws of their own.
            let seed = self.settings.seed.wrapping_add(i64::try_from(index).unwrap_or(i64::MAX));
            let mut written = executor.write(&texts.concat(), seed, self.step)?.into_iter();
            for (next, texts) in own.into_iter().zip(texts) {
                let rows: Vec<TextRow> = written.by_ref().take(texts.len()).flatten().collect();
                next.put(&rows).map_err(|error| self.at(next, error))?;
            }
        }
        Ok(())
    }
}
