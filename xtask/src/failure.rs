//! What a command of xtask failed on: one line per problem, each saying what to do.

use std::fmt;
use std::path::Path;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// One line per problem; all problems known together are reported together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    lines: Vec<String>,
}

impl Failure {
    pub(crate) fn new(line: impl Into<String>) -> Failure {
        Failure { lines: vec![line.into()] }
    }

    pub(crate) fn all(lines: Vec<String>) -> Failure {
        Failure { lines }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}xtask: {line}")?;
        }
        Ok(())
    }
}

/// Names the file of an input or output error.
pub(crate) trait AtPath<T> {
    /// `action` is a verb, as in "cannot *create* `…`".
    fn at(self, action: &str, path: &Path) -> Result<T>;
}

impl<T> AtPath<T> for std::io::Result<T> {
    fn at(self, action: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {action} `{}`: {error}", path.display())))
    }
}
