//! The activity during which an error occurred.

use std::fmt;
use std::path::PathBuf;

/// The activity during which an error occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum During {
    /// One of several tasks was prepared.
    Task(String),
    /// A batch was run.
    Batch {
        /// Its task, if there are several.
        task: Option<String>,
        /// The epoch of the data, from 0.
        epoch: u64,
        /// The batch in the epoch, from 0.
        batch: usize,
    },
    /// The student was evaluated.
    Evaluation {
        /// The number of optimizer steps done.
        step: u64,
        /// The checkpoint with all steps so far.
        saved: Option<PathBuf>,
    },
    /// The function of [`on_checkpoint`](crate::train::Trainer::on_checkpoint) was called.
    Callback {
        /// The number of optimizer steps done.
        step: u64,
    },
}

impl During {
    /// The advice that follows the error.
    pub(super) fn after(&self) -> String {
        match self {
            During::Evaluation { saved: Some(path), .. } => format!(
                "; the steps so far are in {}: run again to resume with this evaluation",
                path.display()
            ),
            _ => String::new(),
        }
    }
}

impl fmt::Display for During {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            During::Task(task) => write!(formatter, "task `{task}`"),
            During::Batch { task, epoch, batch } => {
                if let Some(task) = task {
                    write!(formatter, "task `{task}`, ")?;
                }
                write!(formatter, "epoch {epoch}, batch {batch}")
            }
            During::Evaluation { step, .. } => write!(formatter, "the evaluation after step {step}"),
            During::Callback { step } => write!(formatter, "the callback after step {step}"),
        }
    }
}
