//! Detects NaN and infinite losses before the optimizer step, names the loss, and saves the batch for
//! debugging.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::caller::Tell;
use super::run::Run;
use super::windows::NextBatch;
use crate::error::{Error, Result};
use crate::execute::StepLosses;
use crate::parameters::write_tensors;

/// What to do when a loss is NaN or infinite.
///
/// In either case the batch is written to `not-finite/` in the run folder. Detection reads the total loss
/// from the device once per batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotFinite {
    /// End the run with an error that names the term and the batch; the student keeps the state of the
    /// previous step.
    #[default]
    Stop,
    /// Skip the whole optimizer step, count it as skipped, and continue.
    Skip,
}

impl Run<'_, '_> {
    /// Whether a batch's loss is finite; with [`NotFinite::Stop`] a non-finite loss is an error.
    pub(super) fn is_finite(
        &mut self,
        index: usize,
        next: &NextBatch<'_>,
        losses: &StepLosses,
        tell: &mut Tell<'_>,
    ) -> Result<bool> {
        if losses.total.f_double_value(&[])?.is_finite() {
            return Ok(true);
        }
        let mut terms = self.tasks[next.task].values(losses)?.split_off(1);
        terms.retain(|(_, value)| !value.is_finite());
        let batch = self.keep(index, next).map_err(|error| error.to_string());
        let error = Error::LossNotFinite { step: self.step + 1, terms, batch };
        match self.settings.not_finite {
            NotFinite::Stop => Err(error),
            NotFinite::Skip => {
                self.warn(error.left_out(), tell);
                Ok(false)
            }
        }
    }

    fn keep(&self, index: usize, next: &NextBatch<'_>) -> Result<Option<PathBuf>> {
        // Not only in the folder that this process opened: rank 0 alone has opened it.
        let Some(folder) = &self.settings.run_dir else { return Ok(None) };
        let name = format!("step-{}-batch-{index}.safetensors", self.step + 1);
        let path = folder.join("not-finite").join(name);
        write_tensors(&path, &next.batch()?.tensors())?;
        Ok(Some(path))
    }
}
