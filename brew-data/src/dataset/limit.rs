//! How long the lists of a row may be.

use super::Dataset;

/// What becomes of a list that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// Its first values are kept.
    Cut,
    /// It is an error that names its row, before the first batch is made.
    Refuse,
}

impl Dataset {
    /// The same table with a limit to the length of lists in batches, as a model has one that reads no
    /// more than so many tokens. It holds for every column of lists, so that the ids and the mask of a
    /// text are cut alike; of lists of lists, for the outer one.
    ///
    /// ```
    /// use brew_data::{Dataset, TooLong};
    ///
    /// # fn main() -> brew_data::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("tokens.jsonl");
    /// # std::fs::write(&path, "{\"input_ids\": [1, 2, 3]}\n").unwrap();
    /// let tokens = Dataset::open(&path)?.limited_to(512, TooLong::Refuse);
    /// # let _ = tokens;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn limited_to(&self, length: usize, too_long: TooLong) -> Self {
        Dataset { limit: Some((length, too_long)), ..self.clone() }
    }

    /// Values of a list that go into a batch.
    pub(crate) fn longest_kept(&self) -> usize {
        match self.limit {
            Some((length, TooLong::Cut)) => length,
            _ => usize::MAX,
        }
    }

    /// The length above which a list is an error.
    pub(crate) fn longest_allowed(&self) -> Option<usize> {
        match self.limit {
            Some((length, TooLong::Refuse)) => Some(length),
            _ => None,
        }
    }
}
