//! What keeps a model from being built, in one message.

use super::Weights;
use crate::error::{Error, Result};

/// The maximum number of listed problems of one kind.
const SPELLED_OUT: usize = 5;

impl Weights {
    /// Checks that every part found its parameters, and if so prints the notes.
    ///
    /// # Errors
    /// Lists the problems under the file that the parameters came from, only the first of many of one kind.
    /// If parameters are missing, it also lists those that no part asked for.
    pub(crate) fn finish(self) -> Result<()> {
        let count = self.problems.len() + self.misshapen.len() + self.missing.len();
        if count == 0 {
            for note in &self.notes {
                eprintln!("{}: {note}", self.origin.display());
            }
            return Ok(());
        }
        let title = match (self.misshapen.is_empty(), self.missing.is_empty()) {
            // Shapes or numbers of layers differ.
            (false, _) => "the weights do not match the config",
            (true, false) => "the model cannot be built from these weights",
            (true, true) => "the weights cannot be used",
        };
        let mut lines = shortened(&self.problems, "problems");
        lines.extend(shortened(&self.misshapen, "tensors of a different shape"));
        lines.extend(shortened(&self.missing, "missing tensors"));
        let unused: Vec<String> = self.left().map(|name| self.shown(name)).collect();
        if !self.missing.is_empty() && !unused.is_empty() {
            let more = unused.len().saturating_sub(SPELLED_OUT);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let shown = unused.iter().take(SPELLED_OUT).cloned().collect::<Vec<_>>().join(", ");
            lines.push(format!("no part of the model asked for: {shown}{more}"));
        }
        let text = match lines.as_slice() {
            [one] => format!("{title}: {one}"),
            many => {
                let lines = many.iter().map(|line| format!("\n  - {line}"));
                let problems = if count == 1 { "problem" } else { "problems" };
                format!("{title}, {count} {problems}:{}", lines.collect::<String>())
            }
        };
        Err(Error::file(self.origin, text))
    }
}

/// The first few of many, and the number of the others.
fn shortened(problems: &[String], what: &str) -> Vec<String> {
    // Replacing a single problem by "and 1 more" would not save a line.
    if problems.len() <= SPELLED_OUT + 1 {
        return problems.to_vec();
    }
    let more = format!("and {} more {what}", problems.len() - SPELLED_OUT);
    problems.iter().take(SPELLED_OUT).cloned().chain([more]).collect()
}
