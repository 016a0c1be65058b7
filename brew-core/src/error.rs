//! One error type for the library: data with names in it, and what to do about it.
//!
//! libtorch's own messages carry some thirty lines of C++ frames; only their first line is kept, and
//! [`InStage`] puts the name of the stage, the tensor or the file in front of it.

use std::fmt;
use std::path::PathBuf;

use crate::plan::Problem;

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
    #[error("{}{message}", stage.as_ref().map(|stage| format!("stage `{stage}`: ")).unwrap_or_default())]
    Torch {
        /// The stage of the plan, or the part of the model, that asked for the operation.
        stage: Option<String>,
        /// The first line of libtorch's message.
        message: String,
    },
    /// The plan cannot run; every problem is listed, not only the first.
    #[error("{}", numbered("the pipeline cannot run", .0))]
    Plan(Vec<Problem>),
    /// A value, shape, name or dtype that does not fit, with the mend in the text.
    #[error("{0}")]
    Invalid(String),
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
        Error::Invalid(message.into())
    }

    /// An [`Error::File`] for this path.
    pub fn file(path: impl Into<PathBuf>, message: impl fmt::Display) -> Self {
        Error::File { path: path.into(), message: message.to_string() }
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
        Error::Torch { stage: None, message }
    }
}

/// Adds the name of a stage to an error that has none yet.
pub trait InStage<T> {
    /// Names the stage, model part or tensor that was being worked on.
    fn in_stage(self, stage: &str) -> Result<T>;
}

impl<T, E: Into<Error>> InStage<T> for std::result::Result<T, E> {
    fn in_stage(self, stage: &str) -> Result<T> {
        self.map_err(|error| match error.into() {
            Error::Torch { stage: None, message } => Error::Torch { stage: Some(stage.to_owned()), message },
            Error::Invalid(message) => Error::Invalid(format!("stage `{stage}`: {message}")),
            named => named,
        })
    }
}

/// "title:" and one numbered line an item; a single item stands on the title's own line.
pub(crate) fn numbered(title: &str, items: &[impl fmt::Display]) -> String {
    match items {
        [one] => format!("{title}: {one}"),
        many => many
            .iter()
            .enumerate()
            .fold(format!("{title}, {} problems:", many.len()), |text, (index, item)| {
                format!("{text}\n  {}. {item}", index + 1)
            }),
    }
}

/// `; did you mean …?` for the nearest of the known names, or the list of them.
pub fn suggest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(unknown, name), *name)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 && distance < name.len() => {
            format!("; did you mean `{name}`?")
        }
        _ if known.is_empty() => String::new(),
        _ => format!(
            "; there are: {}",
            known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}
