//! Counts the tokens of rows, and says what was made of them.

use std::path::Path;

/// What was made of a table's rows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: usize,
    tokens: usize,
    trained: usize,
    /// Rows that were cut, the tokens that they lost, and the length of the longest before.
    cut: (usize, usize, usize),
    /// Rows in which no token has a loss.
    silent: usize,
}

impl Tally {
    /// Adds a row that had `length` tokens before `cut` of them were cut off, and has `trained` with a loss.
    pub(super) fn add(&mut self, length: usize, cut: usize, trained: usize) {
        self.rows += 1;
        self.tokens += length - cut;
        self.trained += trained;
        self.silent += usize::from(trained == 0);
        let (rows, tokens, longest) = self.cut;
        self.cut = (rows + usize::from(cut > 0), tokens + cut, longest.max(length));
    }

    /// One line for the user.
    pub(crate) fn line(&self, path: &Path, has_labels: bool) -> String {
        let mut line = format!("{}: {} rows, {} tokens", path.display(), self.rows, self.tokens);
        if has_labels {
            line += &format!(", {} of them with a loss", self.trained);
        }
        if let (cut @ 1.., tokens, longest) = self.cut {
            line += &format!("; {cut} rows were cut by {tokens} tokens, the longest had {longest}");
        }
        if has_labels && self.silent > 0 {
            line += &format!("; {} rows have no token with a loss", self.silent);
        }
        line
    }
}
