//! The vocabulary that a column's token ids belong to: a fingerprint in the field's metadata, which every copy
//! of the column keeps.

use arrow::datatypes::Field;
use brew_core::vocabulary::Fingerprint;

use super::Dataset;
use crate::error::{Error, Result};

/// The key of a field's metadata.
const KEY: &str = "brew.vocabulary";

impl Dataset {
    /// The fingerprint of the vocabulary that a column's token ids belong to: of a column made by
    /// [`Dataset::tokenize`], or a copy of one; otherwise `None`. Training compares it with the vocabulary of
    /// the models that read the column.
    ///
    /// # Errors
    /// No such column; a fingerprint that cannot be read.
    pub fn vocabulary(&self, column: &str) -> Result<Option<Fingerprint>> {
        let read = |error| Error::format(self.path(), format!("column `{column}`: {error}"));
        stated(self.field(column)?).transpose().map_err(read)
    }
}

/// What a field says of its vocabulary.
pub(super) fn stated(field: &Field) -> Option<brew_core::Result<Fingerprint>> {
    field.metadata().get(KEY).map(|text| text.parse())
}

/// The field of a column of token ids from this vocabulary.
pub(crate) fn of_vocabulary(field: Field, print: &Fingerprint) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(KEY.to_owned(), print.to_string());
    field.with_metadata(metadata)
}
