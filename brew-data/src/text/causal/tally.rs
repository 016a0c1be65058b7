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
    /// Turns whose loss ends right before a special token.
    pub(super) unstopped: usize,
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
        if self.unstopped > 0 {
            line += &format!(
                "; in {} places the loss ends right before a special token, which is not learnt there: if it ends a turn, \
                 move the template's `endgeneration` tag behind it",
                self.unstopped
            );
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_was_cut_what_has_no_loss_and_what_is_not_learnt() {
        let mut tally = Tally::default();
        tally.add(12, 2, 4);
        let line = |tally: &Tally| tally.line(Path::new("chats"), true);
        assert_eq!(
            line(&tally),
            "chats: 1 row, 10 tokens, 4 of them with a loss; 2 tokens were cut off 1 row, the longest of which had 12"
        );
        tally.add(3, 0, 0);
        tally.unstopped = 2;
        assert!(
            line(&tally).starts_with(
                "chats: 2 rows, 13 tokens, 4 of them with a loss; 2 tokens were cut off 1 row, "
            )
        );
        assert!(
            line(&tally).contains("; nothing has a loss in 1 row; in 2 places the loss ends right before")
        );
        assert_eq!(Tally::default().line(Path::new("x"), false), "x: 0 rows, 0 tokens");
    }
}
