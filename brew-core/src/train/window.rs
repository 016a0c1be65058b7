//! One optimizer step: the passes over a window of batches, and the update.

use tch::Device;
use tracing::debug_span;

use super::buffers::Buffers;
use super::caller::Tell;
use super::clip;
use super::drawn::Drawn;
use super::passes::Passed;
use super::run::Run;
use crate::error::Result;
use crate::observe::{Event, StepReport};
use crate::semantics::Semantics;

impl Run<'_, '_> {
    /// The passes and the update of one optimizer step over its batches.
    pub(super) fn window(
        &mut self,
        epoch: u64,
        drawn: &Drawn<'_>,
        tell: &mut Tell<'_>,
    ) -> Result<StepReport> {
        let steps = self.length.steps;
        self.student.clear_gradients()?;
        self.learned.clear_gradients()?;
        for task in drawn.counts.keys() {
            self.tasks[*task].work.executor().before_step(self.step, steps)?;
        }
        let buffers = Buffers::of(self.tasks)?;
        let log = self.step.is_multiple_of(self.settings.log_every) || self.step + 1 == steps;
        let Passed { finite, losses } = self.passes(drawn, &buffers, log, tell)?;
        let multiplier = self.settings.schedule.multiplier(self.step, steps);
        if finite && self.gradients_are_finite(tell)? {
            self.clip()?;
            self.update(multiplier)?;
            for task in drawn.counts.keys() {
                self.tasks[*task].work.executor().after_step()?;
            }
        } else {
            // The step is discarded: losses drop its contributions when the next step begins.
            buffers.put_back(self.tasks)?;
        }
        self.step += 1;
        Ok(StepReport {
            epoch,
            step: self.step,
            steps,
            learning_rate: self.settings.optimizer.learning_rate() * multiplier,
            losses: losses.filter(|_| finite),
            examples_per_second: 0.0,
            tokens_per_second: None,
            memory: if log { memory(self.device) } else { None },
        })
    }

    fn update(&mut self, multiplier: f64) -> Result<()> {
        let _span = debug_span!("optimizer").entered();
        self.student.step(multiplier)?;
        self.learned.step(multiplier)
    }

    /// Unscales the gradients; without a loss scale nothing is read from the device, and gradients count as
    /// finite.
    fn gradients_are_finite(&mut self, tell: &mut Tell<'_>) -> Result<bool> {
        let Some(scale) = &self.scale else { return Ok(true) };
        let mut gradients = self.student.gradients()?;
        gradients.extend(self.learned.gradients()?);
        let finite = scale.unscale(&gradients)?;
        if !finite {
            tell(&Event::Warning(&format!(
                "step {}: a gradient is too large for float16; the step is skipped and the loss scale reduced",
                self.step + 1
            )));
        }
        Ok(finite)
    }

    fn clip(&mut self) -> Result<()> {
        let Some(norm) = self.settings.max_gradient_norm else { return Ok(()) };
        let _span = debug_span!("clip").entered();
        let mut gradients = self.student.gradients()?;
        if self.semantics == Semantics::Exact {
            gradients.extend(self.learned.gradients()?);
        }
        clip::clip(&gradients, norm)
    }
}

/// Bytes in use on a CUDA device, else by this process.
fn memory(device: Device) -> Option<u64> {
    if let Device::Cuda(index) = device {
        return crate::native::cuda_memory(index).ok().map(|memory| memory.allocated);
    }
    memory_stats::memory_stats().map(|memory| memory.physical_mem as u64)
}
