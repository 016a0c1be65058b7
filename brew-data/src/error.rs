//! One error type for data: which file, which row or line, which column, and how to mend it.
//!
//! Lines are counted from 1, as in editors. Rows are counted from 0, as in [`Dataset`](crate::Dataset), and
//! are always rows of the file, even in a selection.

use std::fmt;
use std::path::PathBuf;

use brew_core::words::suggest;

use crate::parse::ParseError;

/// A result whose error is [`enum@Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with the data, where it is wrong, and how to mend it.
///
/// `Debug` prints the same text as `Display`, so a `main` that returns this error ends with a readable
/// message. `?` converts it to [`brew_core::Error`].
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system could not open, read or write a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file whose kind, header or body cannot be understood.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and the mend.
        message: String,
    },
    /// A file or a selection without a row.
    #[error("{}: there are no rows", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A line of a text file that cannot be parsed.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The text file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with the line.
        message: String,
    },
    /// A field of a text file that does not match its column's type.
    #[error("{}, line {line}, column `{column}`: {message}", path.display())]
    Field {
        /// The text file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The name of the column.
        column: String,
        /// What is wrong with the field.
        message: String,
    },
    /// A line of a text file with too few or too many fields.
    #[error("{}, line {line}: {found} fields, expected {expected} ({})", path.display(), columns.join(", "))]
    Fields {
        /// The text file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The fields it has.
        found: usize,
        /// The fields it should have.
        expected: usize,
        /// The names of the columns.
        columns: Vec<String>,
    },
    /// A required column is missing.
    #[error("{}: there is no column `{column}`{mend}{}", path.display(), suggest(column, known.iter().map(String::as_str)))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that was asked for.
        column: String,
        /// How the table gets it, after a colon; empty where its name alone may be mended.
        mend: String,
        /// The columns that are there.
        known: Vec<String>,
    },
    /// A column whose type cannot be read as what was asked for.
    #[error("{}, column `{column}`: its type is {found}, which cannot be read as {needed}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
        /// What was asked for.
        needed: String,
    },
    /// A value that does not fit what was asked for.
    #[error("{}, row {row}, column `{column}`: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The row of the file, from 0.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong with the value, and the mend.
        message: String,
    },
    /// Building a batch failed in the user's own code, or in ours.
    #[error("{}, batch {batch} of the epoch, from row {row} of the file: {message}", path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// The batch of the epoch, from 0.
        batch: usize,
        /// The first row of the batch, as a row of the file, from 0.
        row: usize,
        /// What happened.
        message: String,
    },
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
    /// Several problems, all found before the first row is read.
    #[error("{}", numbered(.0))]
    Several(Vec<Error>),
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl From<Error> for brew_core::Error {
    fn from(error: Error) -> Self {
        brew_core::Error::other(error)
    }
}

impl Error {
    /// An [`Error::Io`] for this path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }

    /// An [`Error::Format`] for this path.
    pub(crate) fn format(path: impl Into<PathBuf>, message: impl fmt::Display) -> Self {
        Error::Format { path: path.into(), message: message.to_string() }
    }

    /// An error of brew-core about a model's file.
    pub(crate) fn of_model(error: brew_core::Error) -> Self {
        match error {
            brew_core::Error::File { path, message } => Error::Format { path, message },
            other => Error::Setting(other.to_string()),
        }
    }

    /// A parser's error, with the name of the file.
    pub(crate) fn in_file(path: impl Into<PathBuf>, problem: ParseError) -> Self {
        let path = path.into();
        match problem {
            ParseError::Io(source) => Error::Io { path, source },
            ParseError::NoRows => Error::NoRows { path },
            ParseError::Text(message) => Error::Format { path, message },
            ParseError::Line { line, message } => Error::Line { path, line, message },
            ParseError::Field { line, column, message } => Error::Field { path, line, column, message },
            ParseError::Fields { line, found, expected, columns } => {
                Error::Fields { path, line, found, expected, columns }
            }
            ParseError::Stopped => Error::format(path, "reading was stopped"),
        }
    }

    /// `Ok` if there is no problem, the problem itself if there is one, otherwise all of them.
    pub(crate) fn all(mut problems: Vec<Error>) -> Result<()> {
        match problems.len() {
            0 => Ok(()),
            1 => Err(problems.remove(0)),
            _ => Err(Error::Several(problems)),
        }
    }
}

/// A title, then one numbered line per error.
fn numbered(errors: &[Error]) -> String {
    errors
        .iter()
        .enumerate()
        .fold(format!("the data has {} problems:", errors.len()), |text, (index, error)| {
            format!("{text}\n  {}. {error}", index + 1)
        })
}
