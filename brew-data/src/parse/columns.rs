//! The columns that a text turned out to have, and those of them that cannot be read.
//!
//! A file is not refused for what it holds beside the columns that are asked for: a column whose values do
//! not go together is known by name, and refused when it is used.

use arrow::datatypes::{DataType, Field, Schema};

/// Why a column cannot be read, and where that shows.
#[derive(Debug, Clone)]
pub(crate) struct Odd {
    /// The file, by its number among those that were looked through.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Columns, left to right.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) schema: Schema,
    /// Why each cannot be read; of those that can, nothing.
    pub(crate) odd: Vec<Option<Odd>>,
}

impl Columns {
    /// Names, types, whether values may be missing, and what keeps a column from being read. One that cannot
    /// be read has no values: its type is null.
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, DataType, bool, Option<Odd>)>) -> Self {
        let columns = columns.into_iter().map(|(name, data_type, missing, odd)| match odd {
            Some(odd) => (Field::new(name, DataType::Null, true), Some(odd)),
            None => (Field::new(name, data_type, missing), None),
        });
        let (fields, odd): (Vec<_>, Vec<_>) = columns.unzip();
        Columns { schema: Schema::new(fields), odd }
    }

    /// Columns that are known and can all be read.
    pub(crate) fn known(schema: &Schema) -> Self {
        Columns { schema: schema.clone(), odd: vec![None; schema.fields().len()] }
    }
}
