//! The compiled templates of one model.

use std::path::{Path, PathBuf};

use minijinja::Environment;

use super::environment::environment;
use super::files::Source;
use super::generation;
use crate::error::{Error, Result};

/// All templates of a model.
pub(super) struct Templates {
    pub(super) environment: Environment<'static>,
    /// What errors name.
    pub(super) place: PathBuf,
    pub(super) compiled: Vec<Compiled>,
}

/// A template.
pub(super) struct Compiled {
    pub(super) source: Source,
    /// Whether it says what the assistant wrote.
    pub(super) marks: bool,
}

impl Templates {
    /// Compiles these templates.
    ///
    /// # Errors
    /// A template is not valid, by file and line.
    pub(super) fn compile(place: &Path, sources: Vec<Source>) -> Result<Self> {
        let mut environment = environment().map_err(|error| Error::format(place, error))?;
        let mut compiled = Vec::new();
        for source in sources {
            let (text, marks) = generation::rewritten(&source.text);
            environment
                .add_template_owned(source.name.clone(), text)
                .map_err(|error| in_template(&source, &error))?;
            compiled.push(Compiled { source, marks });
        }
        Ok(Templates { environment, place: place.to_owned(), compiled })
    }
}

/// An error of Jinja with its place.
pub(super) fn in_template(source: &Source, error: &minijinja::Error) -> Error {
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let path = source.path.clone();
    match (error.line(), source.is_file) {
        (Some(line), true) => Error::Line { path, line, message },
        (line, _) => {
            let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
            Error::format(path, format!("`chat_template` (`{}`){line}: {message}", source.name))
        }
    }
}
