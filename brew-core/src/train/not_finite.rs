//! Losses that are NaN or infinite: noticed before the optimizer's step, named, and saved for study.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::caller::Tell;
use super::run::Run;
use super::windows::NextBatch;
use crate::error::{Error, Result};
use crate::execute::StepLosses;
use crate::observe::Event;
use crate::parameters::write_tensors;

/// What to do where a loss is NaN or infinite.
///
/// The batch is written to `not-finite/` of the run folder in any case. To notice it, the sum of the losses
/// is read from the device once a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotFinite {
    /// End the run with an error that names the term and the batch; the student is as it was after the
    /// step before.
    #[default]
    Stop,
    /// Leave the whole optimizer step out, count it, and go on.
    Skip,
}

impl Run<'_, '_> {
    /// Whether a batch's loss is finite; with [`NotFinite::Stop`] it is an error where it is not.
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
        let terms = self.tasks[next.task].values(losses)?;
        let terms: Vec<String> = (terms.iter().skip(1))
            .filter(|(_, value)| !value.is_finite())
            .map(|(name, value)| format!("`{name}` is {value}"))
            .collect();
        let terms =
            if terms.is_empty() { "the weighted sum is not finite".to_owned() } else { terms.join(", ") };
        let saved = match self.keep(index, next) {
            Ok(Some(path)) => format!("; the batch is in {}", path.display()),
            Ok(None) => String::new(),
            Err(error) => format!("; the batch could not be kept: {error}"),
        };
        let what = format!("step {}: {terms}{saved}", self.step + 1);
        match self.settings.not_finite {
            NotFinite::Stop => Err(Error::invalid(format!(
                "{what}; lower the learning rate, clip gradients, or say `.on_not_finite(NotFinite::Skip)`"
            ))),
            NotFinite::Skip => {
                self.skipped += 1;
                tell(&Event::Warning(&format!("{what}; the step is left out")));
                Ok(false)
            }
        }
    }

    fn keep(&self, index: usize, next: &NextBatch<'_>) -> Result<Option<PathBuf>> {
        let Some(folder) = self.folder else { return Ok(None) };
        let path = folder.not_finite(self.step + 1, index);
        write_tensors(&path, &next.batch.tensors())?;
        Ok(Some(path))
    }
}

/// What to change where memory ran out, behind libtorch's own words.
pub(super) fn with_mend(error: Error) -> Error {
    let text = error.to_string();
    let low = text.to_lowercase();
    if low.contains("out of memory")
        || low.contains("can't allocate memory")
        || low.contains("not enough memory")
    {
        return Error::other(format!(
            "{text}; the memory is full: take smaller batches and accumulate more of them, cut long rows, compute activations again (`.gradient_checkpointing(true)`), or compute in bfloat16 (`.precision(Precision::Bf16)`)"
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn memory_that_ran_out_says_what_to_change() {
        let stages = vec!["student".to_owned()];
        // The words of libtorch 2.11 on the CPU and on CUDA.
        for words in [
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
            "CUDA out of memory. Tried",
        ] {
            let error = Error::Torch { stages: stages.clone(), message: words.to_owned() };
            let told = with_mend(error).to_string();
            assert!(told.contains("stage `student`") && told.contains("smaller batches"), "{told}");
        }
        // More than any machine has: libtorch's own error, whatever its words are.
        let refused = Tensor::f_zeros([1_i64 << 46], (Kind::Float, Device::Cpu)).unwrap_err();
        let told = with_mend(refused.into()).to_string();
        assert!(told.contains("gradient_checkpointing(true)") && told.contains("Precision::Bf16"), "{told}");
        let other = with_mend(Error::invalid("another"));
        assert_eq!(other.to_string(), "another");
    }
}
