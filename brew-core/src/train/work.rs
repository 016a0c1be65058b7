//! A type-erased pipeline with its data: the interface that the training loop drives.
//!
//! One loop can therefore serve every pipeline, and several at once: it asks for the next batch and gets it
//! together with its executor.

use tch::Tensor;

use super::erased_executor::ErasedExecutor;
use super::length::PerEpoch;
use crate::batch::{Position, Walk, Wanted};
use crate::cache::TeacherCache;
use crate::error::Result;
use crate::execute::{BatchCounts, StepLosses, Window};
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::rollout::TextRow;

/// The error for data that yields nothing.
pub(super) const NOTHING: &str = "there is nothing to train on: the data has no rows";

/// The batches of an epoch that are wanted, with `None` for each of the others.
pub(crate) type SomeBatches<'r> = Walk<'r, Option<Box<dyn MicroBatch + 'r>>>;

/// A pipeline with its executor and its data.
pub(crate) trait Work {
    /// The executor, for everything that needs no data.
    fn executor(&self) -> &dyn ErasedExecutor;
    /// The executor, mutably.
    fn executor_mut(&mut self) -> &mut dyn ErasedExecutor;
    /// Runs two rows and the rows that hold the data's extremes, and returns the findings.
    fn probe(&self) -> Result<Vec<String>>;
    /// Two rows of the data (`rows/<column>`) and the student's outputs for them (`outputs/<role>`).
    fn outputs(&self) -> Result<Parameters>;
    /// From now on reads and stores the teachers' features in a cache, under the task's name.
    fn cache_teachers(&mut self, cache: &dyn TeacherCache, task: Option<&str>) -> Result<Vec<String>>;
    /// Refills empty caches as the batches before this position filled them.
    fn refill_caches(&self, position: &Position) -> Result<()>;
    /// The number of batches in each of the first epochs of the data, if known.
    fn batches_per_epoch(&self, epochs: u64) -> Result<Option<PerEpoch>>;
    /// Examples per epoch of the data, if known.
    fn rows(&self) -> Option<usize>;
    /// Notes to the user before the first step.
    fn warnings(&self, accumulation: usize) -> Vec<String>;
    /// Where the data begins.
    fn start(&self) -> Result<Position>;
    /// The batches from a position to the end of its epoch, on the student's device; if only some are wanted, `None` for
    /// each of the others.
    fn walk(&self, from: &Position, wanted: Option<&Wanted>) -> Result<SomeBatches<'_>>;
    /// Refuses a position that was taken in different data.
    fn check(&self, position: &Position) -> Result<()>;
}

/// A batch together with the executor that runs it.
pub(crate) trait MicroBatch {
    /// Number of rows.
    fn rows(&self) -> u64;
    /// The student's inputs, by column.
    fn tensors(&self) -> Parameters;
    /// The number of positions that its mask keeps, a scalar on its device; `None` without a mask.
    fn tokens(&self) -> Result<Option<Tensor>>;
    /// Its counts in a window of several batches.
    fn counts(&self) -> Result<BatchCounts>;
    /// Its rows, whose prompts the student can answer, if the plan has a rollout.
    fn texts(&self) -> Result<Vec<TextRow>>;
    /// Replaces its rows.
    fn put(&mut self, texts: &[TextRow]) -> Result<()>;
    /// Its losses. What they are to be told of it is kept apart, or they are told at once.
    fn run(&self, pass: &Pass, window: Option<&Window>, notes_apart: bool) -> Result<StepLosses>;
}
