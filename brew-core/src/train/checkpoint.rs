//! Writing checkpoints: `checkpoints/step-N/` in the run folder.
//!
//! A checkpoint is written under a temporary name, synced, and renamed; `state.json` is its last file.
//! A folder without that file is not a checkpoint.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::source::Standing;
use crate::disk;
use crate::error::{Error, Result};
use crate::model::{Parameters, write_tensors};

const STUDENT: &str = "student.safetensors";
const LEARNED: &str = "projections.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// All that a checkpoint holds.
pub(super) struct Checkpoint<'c> {
    /// `student.safetensors`: the student's parameters, each in its own dtype.
    pub(super) student: &'c Parameters,
    /// `projections.safetensors`: projections, and what losses learn; no file without any.
    pub(super) learned: &'c Parameters,
    /// `optimizer.safetensors`: what the optimizer keeps of each parameter, what losses carry from step to
    /// step, and the scale of the loss.
    pub(super) optimizer: &'c Parameters,
    /// `state.json`: where the run stands.
    pub(super) state: &'c State,
}

/// Where a run stands after an optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Optimizer steps done.
    pub(super) step: u64,
    /// Optimizer steps of the whole run.
    pub(super) steps: u64,
    /// Steps that the optimizer made: all but those left out for gradients that were not finite.
    pub(super) optimizer_steps: u64,
    /// Batches drawn from all tasks together.
    pub(super) batches: u64,
    /// Where each task's data stands.
    pub(super) data: Vec<Standing>,
    /// Examples the student saw.
    pub(super) examples: u64,
    /// Seconds of training.
    pub(super) seconds: f64,
    /// Every metric so far.
    pub(super) evaluations: Vec<f64>,
}

impl Checkpoint<'_> {
    /// Writes it to a folder, which is there whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        disk::write_folder(folder, |folder| {
            write_tensors(&folder.join(STUDENT), self.student)?;
            if self.learned.iter().next().is_some() {
                write_tensors(&folder.join(LEARNED), self.learned)?;
            }
            if self.optimizer.iter().next().is_some() {
                write_tensors(&folder.join(OPTIMIZER), self.optimizer)?;
            }
            let path = folder.join(STATE);
            let state = serde_json::to_vec_pretty(self.state).map_err(|error| Error::file(&path, error))?;
            disk::write(&path, &state)
        })
    }
}
