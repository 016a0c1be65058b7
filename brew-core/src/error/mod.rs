//! One error type for the library: data with names in it, and what to do about it.
//!
//! What a program may want to act on is a variant with fields: a loss that is not finite, memory that ran out,
//! a run folder of another run, a run that a signal ended. [`Error::cause`] gives it without what stands around
//! it, such as the batch that was run.
//!
//! libtorch's own messages carry some thirty lines of C++ frames; only their first line is kept, and
//! [`InStage`] puts the name of the stage, the tensor or the file in front of it.

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

/// A result whose error is brew's [`enum@Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and how to mend it.
///
/// `Debug` prints the same text as `Display`, so that a `main` that returns [`Result`] ends with a
/// message a person can read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libtorch refused an operation.
    #[error("{}{message}", in_stages(.stages))]
    Torch {
        /// The stage of the plan, and the part of the model in it, that asked for the operation; outermost
        /// first. Empty where nobody said.
        stages: Vec<String>,
        /// The first line of libtorch's message.
        message: String,
    },
    /// The plan cannot run; every problem is listed, not only the first.
    #[error("{}", numbered("the pipeline cannot run", .0))]
    Plan(Vec<Problem>),
    /// A value, shape, name or dtype that does not fit, with the mend in the text.
    #[error("{}{message}", in_stages(.stages))]
    Invalid {
        /// The stage of the plan that was run, and the part in it; outermost first. Empty outside a plan.
        stages: Vec<String>,
        /// What does not fit, and the mend.
        message: String,
    },
    /// A file or folder that cannot be read, written or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, where in it, and the mend.
        message: String,
    },
    /// Memory ran out, of the device or of the process.
    #[error(
        "{}{message}; out of memory: use smaller batches and accumulate more of them, truncate long rows, compute activations again in the backward pass (`.gradient_checkpointing(true)`), or compute in bfloat16 (`.precision(Precision::Bf16)`)",
        in_stages(.stages)
    )]
    OutOfMemory {
        /// The stage of the plan that asked for memory, and the part in it; outermost first.
        stages: Vec<String>,
        /// The first line of libtorch's message.
        message: String,
    },
    /// The loss of a batch is NaN or infinite, and the run was told to stop there. The student is as it was
    /// after the step before.
    #[error(
        "step {step}: {}; lower the learning rate, clip gradients, or say `.on_not_finite(NotFinite::Skip)`",
        not_finite(.terms, .batch)
    )]
    LossNotFinite {
        /// The optimizer step, from 1.
        step: u64,
        /// The losses that are not finite, by name; none where their weighted sum alone is not.
        terms: Vec<(String, f64)>,
        /// Where the batch was written for study: nowhere in a run without a folder; what kept it from being
        /// written.
        batch: Result<Option<PathBuf>, String>,
    },
    /// The run folder holds an unfinished run of other settings, another plan or other models.
    #[error(
        "{}: {}",
        path.display(),
        numbered(
            "it holds a different, unfinished run: say `.fresh()` to move that aside, or choose another folder",
            .differences
        )
    )]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// Each value that differs: its name, what it was and what it is.
        differences: Vec<String>,
    },
    /// A signal asked for the end of a run, which can be resumed.
    #[error("stopped by a signal after optimizer step {step}: {}", match saved {
        Some(path) => format!("run it again to resume from {}", path.display()),
        None => "nothing was written, so that it starts over the next time".to_owned(),
    })]
    Interrupted {
        /// Optimizer steps done.
        step: u64,
        /// The checkpoint that was written.
        saved: Option<PathBuf>,
    },
    /// An error with what was being done.
    #[error("{during}: {error}{}", during.after())]
    During {
        /// What was being done.
        during: During,
        /// What went wrong.
        error: Box<Error>,
    },
    /// An error of another crate: of a data source, an observer, or the user's own model.
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

    /// The error itself, without what was being done.
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

    /// What a loss that is not finite says where its step is left out.
    pub(crate) fn left_out(&self) -> String {
        match self {
            Error::LossNotFinite { step, terms, batch } => {
                format!("step {step}: {}; the step is left out", not_finite(terms, batch))
            }
            other => other.to_string(),
        }
    }

    /// The same error with what was being done.
    pub(crate) fn during(self, during: During) -> Self {
        Error::During { during, error: Box::new(self) }
    }

    /// The error of a task, where there are several.
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

/// Whether this is what libtorch says where memory ran out. Its exceptions reach us as text alone: this is the one
/// place where an error is told by its words.
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
        Err(error) => format!("{what}; the batch could not be kept: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn memory_that_ran_out_is_an_error_of_its_own_and_says_what_to_change() {
        // The words of libtorch 2.11 on the CPU and on CUDA.
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
        // More than any machine has: libtorch's own error, whatever its words are.
        let refused = Error::from(Tensor::f_zeros([1_i64 << 46], (Kind::Float, Device::Cpu)).unwrap_err());
        assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
        let told = refused.to_string();
        assert!(told.contains("gradient_checkpointing(true)") && told.contains("Precision::Bf16"), "{told}");
        let other = Error::from(tch::TchError::Torch("shapes differ".to_owned()));
        assert!(matches!(other, Error::Torch { .. }), "{other}");
    }
}
