//! Checkpoints on disk: `checkpoints/step-N/` in the run folder, with everything that changes during a run.
//!
//! A checkpoint is written under a temporary name, synced, and renamed; `state.json` is its last file. A
//! folder without that file is not a checkpoint. `state.json` holds the checksum of every other file and,
//! over its own bytes, one of itself, so a changed byte anywhere is noticed on reading.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::windows::Standing;
use crate::disk;
use crate::error::{Error, Result};
use crate::observe::Best;
use crate::parameters::{Parameters, read_tensors, tensors_as_bytes};

const STUDENT: &str = "student.safetensors";
const LEARNED: &str = "projections.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const OUTPUTS: &str = "outputs.safetensors";
const STATE: &str = "state.json";

/// Incremented when older checkpoints can no longer be read.
const VERSION: u32 = 2;

/// Stands in for the checksum of `state.json` while it is computed over the file.
const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The contents of a checkpoint to write.
pub(super) struct Checkpoint<'c> {
    /// `student.safetensors`: the student's parameters and buffers, each in its own dtype.
    pub(super) student: &'c Parameters,
    /// `projections.safetensors`: the parameters of projections and losses; no file if there are none.
    pub(super) learned: &'c Parameters,
    /// `optimizer.safetensors`: the optimizer's state of each parameter, the state that losses carry from
    /// step to step, and the loss scale; no file if there is none of these.
    pub(super) moments: &'c Parameters,
    /// `outputs.safetensors`: two rows of the data and the student's outputs for them.
    pub(super) outputs: &'c Parameters,
    /// `state.json`: the progress of the run.
    pub(super) state: &'c State,
}

/// The contents of a checkpoint that was read.
#[derive(Debug)]
pub(super) struct ReadCheckpoint {
    pub(super) student: BTreeMap<String, Tensor>,
    pub(super) learned: BTreeMap<String, Tensor>,
    pub(super) moments: BTreeMap<String, Tensor>,
    pub(super) outputs: BTreeMap<String, Tensor>,
    pub(super) state: State,
}

/// The progress of a run after an optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Optimizer steps completed.
    pub(super) step: u64,
    /// Optimizer steps of the whole run.
    pub(super) steps: u64,
    /// Steps in which the optimizer updated weights: all except those skipped because of non-finite
    /// gradients.
    pub(super) optimizer_steps: u64,
    /// Batches drawn from all tasks together.
    pub(super) batches: u64,
    /// The position in each task's data.
    pub(super) data: Vec<Standing>,
    /// Examples the student saw.
    pub(super) examples: u64,
    /// Tokens the student saw, if every batch reported its count.
    #[serde(default)]
    pub(super) tokens: Option<u64>,
    /// Seconds of training.
    #[serde(with = "crate::json::float")]
    pub(super) seconds: f64,
    /// Every metric so far.
    #[serde(with = "crate::json::floats")]
    pub(super) evaluations: Vec<f64>,
    /// The best value of the first metric, and how many evaluations ago it was.
    pub(super) best: Option<Best>,
    pub(super) evaluations_since_best: u64,
    /// Steps skipped because of a non-finite loss.
    pub(super) skipped: u64,
    /// The epoch of this step's evaluation if it is still pending: a resumed run does it first.
    #[serde(default)]
    pub(super) to_evaluate: Option<u64>,
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    state: State,
    /// The BLAKE3 checksum of each other file, in hexadecimal digits.
    files: BTreeMap<String, String>,
    /// The checksum of this file, computed with zeros in this field.
    seal: String,
}

impl Checkpoint<'_> {
    /// Writes the checkpoint to a folder, atomically: the folder exists complete or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        disk::write_folder(folder, |folder| {
            let mut files = BTreeMap::new();
            for (name, tensors) in [
                (STUDENT, self.student),
                (LEARNED, self.learned),
                (OPTIMIZER, self.moments),
                (OUTPUTS, self.outputs),
            ] {
                if tensors.iter().next().is_some() {
                    let path = folder.join(name);
                    // Checksums of the bytes in memory, so that a disk that stores something else is noticed
                    // too.
                    let bytes = tensors_as_bytes(&path, tensors)?;
                    files.insert(name.to_owned(), checksum(&bytes));
                    disk::write(&path, &bytes)?;
                }
            }
            seal(folder, self.state, files)
        })
    }

    /// Replaces the state of a written checkpoint; its tensors stay as they are.
    pub(super) fn restate(folder: &Path, state: &State) -> Result<()> {
        let path = folder.join(STATE);
        let sealed: Sealed =
            serde_json::from_slice(&read_file(&path)?).map_err(|error| Error::file(&path, error))?;
        seal(folder, state, sealed.files)
    }
}

/// Writes `state.json`, with the checksums of the other files and its own.
fn seal(folder: &Path, state: &State, files: BTreeMap<String, String>) -> Result<()> {
    let path = folder.join(STATE);
    let unsealed = Sealed { version: VERSION, state: state.clone(), files, seal: UNSEALED.to_owned() };
    let text = serde_json::to_string_pretty(&unsealed).map_err(|error| Error::file(&path, error))?;
    let seal = checksum(text.as_bytes());
    disk::write(&path, text.replace(UNSEALED, &seal).as_bytes())
}

impl ReadCheckpoint {
    /// Reads a checkpoint and verifies every byte.
    ///
    /// # Errors
    /// Names the file that is missing, damaged, or of another version.
    pub(super) fn from(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let text = String::from_utf8(read_file(&path)?)
            .map_err(|_| Error::file(&path, "damaged: it is not valid UTF-8"))?;
        let sealed: Sealed = serde_json::from_str(&text).map_err(|error| {
            Error::file(&path, format!("damaged, or written by a different version of brew: {error}"))
        })?;
        if sealed.seal.len() != UNSEALED.len()
            || checksum(text.replace(&sealed.seal, UNSEALED).as_bytes()) != sealed.seal
        {
            return Err(Error::file(&path, "damaged: checksum mismatch"));
        }
        if sealed.version != VERSION {
            let message =
                format!("it has format version {}; this version of brew reads {VERSION}", sealed.version);
            return Err(Error::file(&path, message));
        }
        let tensors = |name: &str| match sealed.files.get(name) {
            None => Ok(BTreeMap::new()),
            Some(expected) => {
                let path = folder.join(name);
                let bytes = read_file(&path)?;
                if checksum(&bytes) != *expected {
                    return Err(Error::file(&path, "damaged: checksum mismatch"));
                }
                read_tensors(&path, &bytes)
            }
        };
        Ok(ReadCheckpoint {
            student: tensors(STUDENT)?,
            learned: tensors(LEARNED)?,
            moments: tensors(OPTIMIZER)?,
            outputs: tensors(OUTPUTS)?,
            state: sealed.state,
        })
    }
}

fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::file(path, error))
}
