//! One error type for the library: data with names in it, and what to do about it.
//!
//! libtorch's own messages carry some thirty lines of C++ frames; only their first line is kept, and
//! [`InStage`] puts the name of the stage, the tensor or the file in front of it.

mod problem;

use std::fmt;
use std::path::PathBuf;

use crate::words::numbered;

pub use problem::Problem;

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
    /// A signal asked for the end of a run, which can be gone on with.
    #[error("stopped by a signal after optimizer step {step}: {}", match saved {
        Some(path) => format!("run it again, and it goes on from {}", path.display()),
        None => "the run has no folder that was written, so that it begins again the next time".to_owned(),
    })]
    Interrupted {
        /// Optimizer steps done.
        step: u64,
        /// The checkpoint that was written.
        saved: Option<PathBuf>,
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

    /// What it says to a reader who was told this stage's name: the parts in the stage, and the message.
    pub(crate) fn within(mut self, stage: &str) -> String {
        let (Error::Torch { stages, message } | Error::Invalid { stages, message }) = &mut self else {
            return self.to_string();
        };
        if stages.first().is_some_and(|outermost| outermost == stage) {
            stages.remove(0);
        }
        if stages.is_empty() { std::mem::take(message) } else { format!("{}: {message}", quoted(stages)) }
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
        let message = text.lines().next().unwrap_or("libtorch gave no message").to_owned();
        Error::Torch { stages: Vec::new(), message }
    }
}

/// Adds the name of a stage to an error.
pub trait InStage<T> {
    /// Names the stage, model part or tensor that was being worked on. Names that were added before, further
    /// in, are kept behind this one; the same name is said once.
    fn in_stage(self, stage: &str) -> Result<T>;
}

impl<T, E: Into<Error>> InStage<T> for std::result::Result<T, E> {
    fn in_stage(self, stage: &str) -> Result<T> {
        self.map_err(|error| {
            let mut error = error.into();
            if let Error::Torch { stages, .. } | Error::Invalid { stages, .. } = &mut error
                && stages.first().is_none_or(|outermost| outermost != stage)
            {
                stages.insert(0, stage.to_owned());
            }
            error
        })
    }
}

/// "stage `student`, `embeddings`: ", or nothing where no stage is known.
fn in_stages(stages: &[String]) -> String {
    if stages.is_empty() { String::new() } else { format!("stage {}: ", quoted(stages)) }
}

/// "`student`, `embeddings`".
fn quoted(stages: &[String]) -> String {
    stages.iter().map(|stage| format!("`{stage}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_once_and_parts_stand_behind_it() {
        let failed = || Err::<(), _>(Error::invalid("no such layer: 9"));
        let twice = failed().in_stage("teacher").in_stage("teacher");
        assert_eq!(twice.unwrap_err().to_string(), "stage `teacher`: no such layer: 9");
        let nested = failed().in_stage("embeddings").in_stage("student").in_stage("student");
        assert_eq!(nested.unwrap_err().to_string(), "stage `student`, `embeddings`: no such layer: 9");
        assert_eq!(failed().unwrap_err().to_string(), "no such layer: 9");
        let within = failed().in_stage("embeddings").in_stage("student").unwrap_err().within("student");
        assert_eq!(within, "`embeddings`: no such layer: 9");
    }

    #[test]
    fn an_error_of_libtorch_keeps_its_first_line_and_all_its_stages() {
        let torch = tch::TchError::Torch("shapes differ\nframe #0".to_owned());
        let told = Err::<(), _>(torch).in_stage("query").in_stage("student").unwrap_err().to_string();
        assert_eq!(told, "stage `student`, `query`: shapes differ");
    }
}
