//! One optimizer step: the passes over a window of batches, and the update.

use std::collections::BTreeMap;

use tch::Device;
use tracing::debug_span;

use super::buffers::Buffers;
use super::caller::Tell;
use super::clip;
use super::optimizer::SparseUpdates;
use super::random::mix;
use super::run::Run;
use super::windows::NextBatch;
use crate::error::{During, Error, Result};
use crate::execute::{BatchCounts, StepLosses, Window};
use crate::observe::{BatchReport, Event, StepReport};
use crate::pass::{Pass, Wants};
use crate::semantics::Semantics;

impl Run<'_, '_> {
    /// The passes and the update of one optimizer step over a window of batches.
    pub(super) fn window(
        &mut self,
        epoch: u64,
        window: &[NextBatch<'_>],
        tell: &mut Tell<'_>,
    ) -> Result<StepReport> {
        let steps = self.length.steps;
        let counts = self.counts(window)?;
        self.student.clear_gradients()?;
        self.learned.clear_gradients()?;
        for task in counts.keys() {
            self.tasks[*task].work.executor().before_step(self.step, steps)?;
        }
        let buffers = Buffers::of(self.tasks)?;
        let log = self.step.is_multiple_of(self.settings.log_every) || self.step + 1 == steps;
        let mut losses = log.then(Vec::new);
        let mut finite = true;
        for (index, next) in window.iter().enumerate() {
            let of_task = counts.get(&next.task).and_then(Option::as_ref);
            let values = self.pass((index, next), of_task, &buffers, log, tell)?;
            let Some(values) = values else {
                finite = false;
                break;
            };
            if let Some(losses) = &mut losses {
                add_up(losses, &values);
                let (step, batches) = (self.step + 1, window.len());
                let report = BatchReport { epoch: next.epoch, step, index, batches, losses: values };
                tell(&Event::Batch(&report));
            }
        }
        let multiplier = self.settings.schedule.multiplier(self.step, steps);
        if finite && self.gradients_are_finite(tell)? {
            self.clip()?;
            self.update(multiplier)?;
            for task in counts.keys() {
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

    /// Forward and backward pass of one batch of a window. Returns the values of its losses, empty if they
    /// are not logged; `None` if the loss is not finite and the step must be skipped.
    fn pass(
        &mut self,
        (index, next): (usize, &NextBatch<'_>),
        window: Option<&Window>,
        buffers: &Buffers,
        log: bool,
        tell: &mut Tell<'_>,
    ) -> Result<Option<Vec<(String, f64)>>> {
        let settings = self.settings;
        // Reseeded for every batch, so that a step can be replayed without the steps before it.
        tch::manual_seed(mix(settings.seed, self.step, index as u64));
        // On a GPU, sparse gradients would require reading back the number of rows in every step.
        let sparse = self.device == Device::Cpu || settings.sparse_updates == SparseUpdates::RowsInUse;
        let pass = Pass::training(self.step, Wants::nothing()).of_steps(self.length.steps);
        let pass = pass.recomputing(settings.gradient_checkpointing).with_sparse_gradients(sparse);
        let losses = next.batch.run(&pass, window).map_err(|error| self.at(next, error))?;
        self.tokens.add(next.batch.tokens().map_err(|error| self.at(next, error))?)?;
        let finite = self.is_finite(index, next, &losses, tell);
        if finite.is_err() {
            buffers.put_back(self.tasks)?;
        }
        if !finite.map_err(|error| self.at(next, error))? {
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

    /// The counts of a window, for each task that has batches in it; a single batch needs none.
    fn counts(&self, window: &[NextBatch<'_>]) -> Result<BTreeMap<usize, Option<Window>>> {
        if let [alone] = window {
            return Ok(BTreeMap::from([(alone.task, None)]));
        }
        let mut counts: BTreeMap<usize, Vec<BatchCounts>> = BTreeMap::new();
        for next in window {
            let of_batch = next.batch.counts().map_err(|error| self.at(next, error))?;
            counts.entry(next.task).or_default().push(of_batch);
        }
        counts
            .into_iter()
            .map(|(task, counts)| {
                let counts: Vec<&BatchCounts> = counts.iter().collect();
                Ok((task, Some(Window::sum(self.semantics, window.len(), &counts)?)))
            })
            .collect()
    }

    /// Adds the batch to an error that it caused.
    fn at(&self, next: &NextBatch<'_>, error: Error) -> Error {
        let task = self.tasks[next.task].name.clone();
        error.during(During::Batch { task, epoch: next.epoch, batch: next.index })
    }
}

/// Bytes in use on a CUDA device, else by this process.
fn memory(device: Device) -> Option<u64> {
    if let Device::Cuda(index) = device {
        return crate::native::cuda_memory(index).ok().map(|memory| memory.allocated);
    }
    memory_stats::memory_stats().map(|memory| memory.physical_mem as u64)
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
