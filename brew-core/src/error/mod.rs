//! The library's error type: errors name what they concern and say what to do about it.
//!
//! Errors that a program may want to act on are variants with fields: a non-finite loss, running out of
//! memory, a run folder of a different run, a run ended by a signal. [`Error::cause`] returns the error
//! without its context, such as the batch that was running.
//!
//! libtorch's messages contain about thirty lines of C++ frames; only the first line is kept, and [`InStage`]
//! prefixes the name of the stage, tensor or file.

mod during;
mod problem;
mod stages;

use std::fmt;
use std::path::PathBuf;

use crate::words::numbered;

pub use during::During;
pub use problem::Problem;
pub use stages::InStage;
use stages::in_stages;

/// A result whose error is by default brew's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and how to fix it.
///
/// `Debug` prints the same text as `Display`, so that a `main` that returns [`Result`] prints a readable
/// message.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libtorch refused an operation.
    #[error("{}{message}", in_stages(.stages))]
    Torch {
        /// The stage of the plan and the part of the model in it that ran the operation; outermost first.
        /// Empty if unknown.
        stages: Vec<String>,
        /// The first line of libtorch's message.
        message: String,
    },
    /// The plan cannot run; every problem is listed, not only the first.
    #[error("{}", numbered("the pipeline cannot run", .0))]
    Plan(Vec<Problem>),
    /// An invalid value, shape, name or dtype, with the fix in the text.
    #[error("{}{message}", in_stages(.stages))]
    Invalid {
        /// The stage of the plan that was running, and the part in it; outermost first. Empty outside of a
        /// plan.
        stages: Vec<String>,
        /// The problem, and its fix.
        message: String,
    },
    /// A file or folder that cannot be read, written or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The problem, where in the file it is, and its fix.
        message: String,
    },
    /// The device or the process ran out of memory.
    #[error(
        "{}{message}; out of memory: use smaller batches and accumulate more of them, truncate long rows, enable gradient checkpointing (`.gradient_checkpointing(true)`), or compute in bfloat16 (`.precision(Precision::Bf16)`)",
        in_stages(.stages)
    )]
    OutOfMemory {
        /// The stage of the plan that needed the memory, and the part in it; outermost first.
        stages: Vec<String>,
        /// The first line of libtorch's message.
        message: String,
    },
    /// The loss of a batch is NaN or infinite, and the run stops on that. The student keeps the state of the
    /// previous step.
    #[error(
        "step {step}: {}; lower the learning rate, clip gradients, or use `.on_not_finite(NotFinite::Skip)`",
        not_finite(.terms, .batch)
    )]
    LossNotFinite {
        /// The optimizer step, from 1.
        step: u64,
        /// The non-finite losses, by name; empty if only their weighted sum is not finite.
        terms: Vec<(String, f64)>,
        /// The folder that the batch was written to, `None` without a run folder; or why it could not be
        /// written.
        batch: Result<Option<PathBuf>, String>,
    },
    /// The run folder holds an unfinished run with different settings, a different plan or different models.
    #[error(
        "{}: {}",
        path.display(),
        numbered(
            "it holds a different, unfinished run: use `.fresh()` to move that aside, or choose another folder",
            .differences
        )
    )]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// Each value that differs: its name, what it was and what it is.
        differences: Vec<String>,
    },
    /// A signal ended the run, which can be resumed.
    #[error("stopped by a signal after optimizer step {step}: {}", match saved {
        Some(path) => format!("run it again to resume from {}", path.display()),
        None => "nothing was written, so it starts over the next time".to_owned(),
    })]
    Interrupted {
        /// Optimizer steps completed.
        step: u64,
        /// The checkpoint that was written.
        saved: Option<PathBuf>,
    },
    /// A call between ranks failed: a rank is gone or late, or the ranks make different calls.
    #[error("rank {rank} of {world_size}: `{call}`: {message}")]
    Ranks {
        /// The rank of this process.
        rank: usize,
        /// How many ranks there are.
        world_size: usize,
        /// What this rank was doing, such as `all_reduce`.
        call: String,
        /// Which rank the problem is at, as far as it is known, and libtorch's message.
        message: String,
    },
    /// An error together with the activity during which it occurred.
    #[error("{during}: {error}{}", during.after())]
    During {
        /// What was being done.
        during: During,
        /// What went wrong.
        error: Box<Error>,
    },
    /// An error of other code: a data source, an observer, or the user's own model.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Error {
    /// An [`Error::Invalid`] with this text.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid { stages: Vec::new(), message: message.into() }
    }

    /// An [`Error::File`] for this path.
    pub fn file(path: impl Into<PathBuf>, message: impl fmt::Display) -> Self {
        Error::File { path: path.into(), message: message.to_string() }
    }

    /// The error itself, without its context.
    ///
    /// ```
    /// use brew_core::Error;
    ///
    /// # fn example(ended: brew_core::Result<()>) {
    /// if let Err(error) = ended {
    ///     match error.cause() {
    ///         Error::OutOfMemory { .. } => println!("try again with smaller batches"),
    ///         Error::LossNotFinite { terms, .. } => println!("diverged: {terms:?}"),
    ///         _ => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn cause(&self) -> &Error {
        match self {
            Error::During { error, .. } => error.cause(),
            other => other,
        }
    }

    /// The warning for a non-finite loss whose step is skipped.
    pub(crate) fn left_out(&self) -> String {
        match self {
            Error::LossNotFinite { step, terms, batch } => {
                format!("step {step}: {}; the step is skipped", not_finite(terms, batch))
            }
            other => other.to_string(),
        }
    }

    /// Adds the activity during which the error occurred.
    pub(crate) fn during(self, during: During) -> Self {
        Error::During { during, error: Box::new(self) }
    }

    /// Adds the name of the task.
    pub(crate) fn of_task(self, task: &str) -> Self {
        self.during(During::Task(task.to_owned()))
    }

    /// Wraps an error of another crate.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Other(error.into())
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = match error {
            tch::TchError::Torch(text) => text,
            other => other.to_string(),
        };
        let (stages, message) =
            (Vec::new(), text.lines().next().unwrap_or("libtorch gave no message").to_owned());
        if ran_out_of_memory(&text) {
            Error::OutOfMemory { stages, message }
        } else {
            Error::Torch { stages, message }
        }
    }
}

/// Whether this is libtorch's message for running out of memory. Its exceptions are only available as text,
/// so this is the one place that recognizes an error by its wording.
fn ran_out_of_memory(text: &str) -> bool {
    let text = text.to_lowercase();
    ["out of memory", "can't allocate memory", "not enough memory"].iter().any(|words| text.contains(words))
}

/// "`kd_ce` is NaN; the batch is in …".
fn not_finite(terms: &[(String, f64)], batch: &Result<Option<PathBuf>, String>) -> String {
    let terms: Vec<String> = terms.iter().map(|(name, value)| format!("`{name}` is {value}")).collect();
    let what = if terms.is_empty() { "the weighted sum is not finite".to_owned() } else { terms.join(", ") };
    match batch {
        Ok(Some(path)) => format!("{what}; the batch is in {}", path.display()),
        Ok(None) => what,
        Err(error) => format!("{what}; the batch could not be written: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn memory_that_ran_out_is_an_error_of_its_own_and_says_what_to_change() {
        // libtorch 2.11's messages on the CPU and on CUDA.
        for words in [
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
            "CUDA out of memory. Tried",
        ] {
            let torch = tch::TchError::Torch(words.to_owned());
            let error = Err::<(), _>(torch).in_stage("student").unwrap_err();
            let place = During::Batch { task: None, epoch: 0, batch: 3 };
            let error = error.during(place);
            assert!(matches!(error.cause(), Error::OutOfMemory { stages, .. } if stages == &["student"]));
            let told = error.to_string();
            assert!(told.starts_with(&format!("epoch 0, batch 3: stage `student`: {words}")), "{told}");
            assert!(told.contains("smaller batches"), "{told}");
        }
        // More than any machine has, to get libtorch's own error, whatever its wording.
        let refused = Error::from(Tensor::f_zeros([1_i64 << 46], (Kind::Float, Device::Cpu)).unwrap_err());
        assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("gradient_checkpointing(true)") && told.contains("Precision::Bf16"), "{told}");
        let other = Error::from(tch::TchError::Torch("shapes differ".to_owned()));
        assert!(matches!(other, Error::Torch { .. }), "{other}");
    }
}
