//! Of which vocabulary the token ids of a column are. It stands in the field's metadata, which every copy of
//! the column keeps.

use arrow::datatypes::Field;
use brew_core::vocabulary::Fingerprint;

use super::Dataset;
use crate::error::{Error, Result};

/// The key of a field's metadata.
const KEY: &str = "brew:vocabulary";

impl Dataset {
    /// The fingerprint of the vocabulary that a column's token ids belong to: of a column made by
    /// [`Dataset::tokenize`], or a copy of one; otherwise `None`. Training compares it with the vocabulary of
    /// the models that read the column.
    ///
    /// # Errors
    /// No such column; a fingerprint that cannot be read.
    pub fn vocabulary(&self, column: &str) -> Result<Option<Fingerprint>> {
        let field = self.field(column)?;
        let read = |text: &str| {
            text.parse().map_err(|error| Error::format(self.path(), format!("column `{column}`: {error}")))
        };
        field.metadata().get(KEY).map(|text| read(text)).transpose()
    }
}

/// The field of a column of token ids from this vocabulary.
pub(crate) fn of_vocabulary(field: Field, print: &Fingerprint) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(KEY.to_owned(), print.to_string());
    field.with_metadata(metadata)
}
