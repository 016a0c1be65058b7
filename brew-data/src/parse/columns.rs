//! The columns that a text turned out to have, and those of them that cannot be read.
//!
//! A file is not refused for what it holds beside the columns that are asked for: a column whose values do
//! not go together is known by name, and refused when it is used.

use arrow::datatypes::{DataType, Field, Schema};

/// Why a column cannot be read, and where that shows.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    /// The file, by its number among those that were looked through.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// InferredColumns, left to right.
#[derive(Debug)]
pub(crate) struct InferredColumns {
    pub(crate) schema: Schema,
    /// Why each cannot be read; of those that can, nothing.
    pub(crate) unreadable: Vec<Option<Unreadable>>,
}

impl InferredColumns {
    /// Names, types, whether values may be missing, and what keeps a column from being read. One that cannot
    /// be read has no values: its type is null.
    pub(crate) fn new(
        columns: impl IntoIterator<Item = (String, DataType, bool, Option<Unreadable>)>,
    ) -> Self {
        let columns = columns.into_iter().map(|(name, data_type, missing, unreadable)| match unreadable {
            Some(unreadable) => (Field::new(name, DataType::Null, true), Some(unreadable)),
            None => (Field::new(name, data_type, missing), None),
        });
        let (fields, unreadable): (Vec<_>, Vec<_>) = columns.unzip();
        InferredColumns { schema: Schema::new(fields), unreadable }
    }

    /// InferredColumns that are known and can all be read.
    pub(crate) fn known(schema: &Schema) -> Self {
        InferredColumns { schema: schema.clone(), unreadable: vec![None; schema.fields().len()] }
    }
}
