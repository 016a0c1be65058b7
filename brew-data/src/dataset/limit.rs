//! The maximum length of a row's lists.

use super::Dataset;

/// What happens to a list longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It is truncated to its first values.
    Cut,
    /// It is an error that names the row, raised before the first batch.
    Refuse,
}

impl Dataset {
    /// Limits the length of lists in batches, for models with a maximum number of tokens. The limit applies
    /// to every list column, so the ids and the mask of a text are cut alike; for lists of lists it applies
    /// to the outer list.
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

    /// Whether lists are limited.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The same rows with the limit of the table that they were made of.
    pub(crate) fn limited_as(self, other: &Dataset) -> Self {
        Dataset { limit: other.limit, ..self }
    }

    /// The number of values of a list that go into a batch.
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
