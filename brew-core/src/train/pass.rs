//! The forward and the backward pass of one batch.

use tch::Device;
use tracing::debug_span;

use super::caller::Tell;
use super::noted::Forward;
use super::optimizer::SparseUpdates;
use super::random::mix;
use super::run::Run;
use super::windows::NextBatch;
use crate::error::{During, Error, Result};
use crate::execute::{StepLosses, Window};
use crate::pass::{Pass, Wants};

impl Run<'_, '_> {
    /// The forward pass of one batch of a window.
    pub(super) fn forward(
        &mut self,
        (index, next): (usize, &NextBatch<'_>),
        window: Option<&Window>,
        tell: &mut Tell<'_>,
    ) -> Result<Forward> {
        let settings = self.settings;
        // Reseeded for every batch, so that a step can be replayed without the steps before it, and on any rank.
        tch::manual_seed(mix(settings.seed, self.step, index as u64));
        // On a GPU, sparse gradients would require reading back the number of rows in every step.
        let sparse = self.device == Device::Cpu || settings.sparse_updates == SparseUpdates::RowsInUse;
        let pass = Pass::training(self.step, Wants::nothing()).of_steps(self.length.steps);
        let pass = pass.recomputing(settings.gradient_checkpointing).with_sparse_gradients(sparse);
        let pass = pass.with_dropout(settings.student_dropout);
        let batch = next.batch()?;
        let losses = batch.run(&pass, window, !self.ranks.alone())?;
        if self.ranks.alone() {
            self.tokens.add(batch.tokens()?)?;
        }
        let finite = self.is_finite(index, next, &losses, tell)?;
        Ok(if finite { Forward::Done(losses) } else { Forward::NotFinite })
    }

    pub(super) fn backward(&self, losses: &StepLosses) -> Result<()> {
        let scaled = self.scale.as_ref().map(|scale| scale.scaled(&losses.total)).transpose()?;
        let _span = debug_span!("backward").entered();
        Ok(scaled.as_ref().unwrap_or(&losses.total).f_backward()?)
    }

    /// Adds the batch to an error that it caused.
    pub(super) fn at(&self, next: &NextBatch<'_>, error: Error) -> Error {
        let task = self.tasks[next.task].name.clone();
        error.during(During::Batch { task, epoch: next.epoch, batch: next.index })
    }
}
