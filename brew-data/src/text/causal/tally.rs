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
        let rows = |count: usize| format!("{count} row{}", if count == 1 { "" } else { "s" });
        let mut line = format!("{}: {}, {} tokens", path.display(), rows(self.rows), self.tokens);
        if has_labels {
            line += &format!(", {} of them with a loss", self.trained);
        }
        if let (cut @ 1.., tokens, longest) = self.cut {
            line +=
                &format!("; {tokens} tokens were cut off {}, the longest of which had {longest}", rows(cut));
        }
        if has_labels && self.silent > 0 {
            line += &format!("; nothing has a loss in {}", rows(self.silent));
        }
        line
    }
}
