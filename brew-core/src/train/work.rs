//! A pipeline at work on its data, with the types of both erased: what the loop drives.
//!
//! So one loop serves every pipeline, and several at once: it asks for the next batch and gets it with
//! the executor that runs it.

use tch::Tensor;

use super::erased_executor::ErasedExecutor;
use super::length::PerEpoch;
use crate::batch::{Position, Walk};
use crate::cache::TeacherCache;
use crate::error::Result;
use crate::execute::{BatchCounts, StepLosses, Window};
use crate::parameters::Parameters;
use crate::pass::Pass;

/// Said of data that yields nothing.
pub(super) const NOTHING: &str = "there is nothing to train on: the data has no rows";

/// A pipeline with its executor and its data.
pub(crate) trait Work {
    /// What needs no data.
    fn executor(&self) -> &dyn ErasedExecutor;
    /// The same, to change it.
    fn executor_mut(&mut self) -> &mut dyn ErasedExecutor;
    /// Runs two rows and those that hold the extremes of the data, and says what they showed.
    fn probe(&self) -> Result<Vec<String>>;
    /// Two rows of the data (`rows/<column>`) and what the student gives for them (`outputs/<role>`).
    fn outputs(&self) -> Result<Parameters>;
    /// Reads and keeps the teachers' features in a cache, under the task's name, from now on.
    fn cache_teachers(&mut self, cache: &dyn TeacherCache, task: Option<&str>) -> Result<Vec<String>>;
    /// Fills caches that are empty as the batches before this position did.
    fn refill_caches(&self, position: &Position) -> Result<()>;
    /// Batches in each of the first epochs of the data, where that is known.
    fn batches_per_epoch(&self, epochs: u64) -> Result<Option<PerEpoch>>;
    /// Examples in every epoch of the data, where that is known.
    fn rows(&self) -> Option<usize>;
    /// What a person should know before the first step.
    fn warnings(&self, accumulation: usize) -> Vec<String>;
    /// Where the data begins.
    fn start(&self) -> Result<Position>;
    /// The batches from a position to the end of its epoch, on the student's device.
    fn walk(&self, from: &Position) -> Result<Walk<'_, Box<dyn MicroBatch + '_>>>;
    /// Refuses a position that was taken in other data.
    fn check(&self, position: &Position) -> Result<()>;
}

/// A batch with the executor that runs it.
pub(crate) trait MicroBatch {
    /// Number of rows.
    fn rows(&self) -> u64;
    /// What the student reads, by column.
    fn tensors(&self) -> Parameters;
    /// The positions that its mask keeps, a scalar on its device; `None` where it has no mask.
    fn tokens(&self) -> Result<Option<Tensor>>;
    /// What it counts in a window of several.
    fn counts(&self) -> Result<BatchCounts>;
    /// Its losses.
    fn run(&self, pass: &Pass, window: Option<&Window>) -> Result<StepLosses>;
}
