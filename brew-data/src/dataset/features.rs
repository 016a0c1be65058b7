//! What Python's `datasets` says about the columns of the tables that it writes.

use serde::Deserialize;
use serde_json::Value;

use super::Dataset;
use crate::error::{Error, Result};

/// The key of its description in the schema's metadata.
const KEY: &str = "huggingface";

/// The part that is read of the description of a column of classes.
#[derive(Deserialize)]
struct ClassLabel {
    names: Vec<String>,
}

impl Dataset {
    /// The names of a column's classes, in the order of their numbers, where Python's `datasets` wrote
    /// the table and the column is a `ClassLabel` or a list of them; otherwise nothing.
    ///
    /// # Errors
    /// No such column.
    pub fn class_names(&self, column: &str) -> Result<Option<Vec<String>>> {
        self.field(column)?;
        let Some(text) = self.schema().metadata().get(KEY) else { return Ok(None) };
        let description: Value = serde_json::from_str(text).map_err(|error| {
            Error::format(
                self.path(),
                format!("what `datasets` says about the columns cannot be read: {error}"),
            )
        })?;
        let mut feature = &description["info"]["features"][column];
        // Older versions write a list as a list of one feature, newer ones as an object around it.
        while feature["_type"] != "ClassLabel" {
            feature = match (&feature["feature"], &feature[0]) {
                (Value::Null, Value::Null) => return Ok(None),
                (Value::Null, inner) | (inner, _) => inner,
            };
        }
        Ok(serde::Deserialize::deserialize(feature).ok().map(|label: ClassLabel| label.names))
    }
}
