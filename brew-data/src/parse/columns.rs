//! The columns inferred from a text, including those that cannot be read.
//!
//! A file is not rejected for columns that nobody uses: a column whose values do not fit together is known by
//! name, and rejected when it is used.

use arrow::datatypes::{DataType, Field, Schema};

/// Why a column cannot be read, and where.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    /// The index of the file among those scanned.
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Inferred columns, left to right.
#[derive(Debug)]
pub(crate) struct InferredColumns {
    pub(crate) schema: Schema,
    /// Why each column cannot be read, if so.
    pub(crate) unreadable: Vec<Option<Unreadable>>,
}

impl InferredColumns {
    /// From names, types, whether values may be missing, and why a column cannot be read. An unreadable
    /// column has no values: its type is null.
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

    /// Declared columns, all readable.
    pub(crate) fn known(schema: &Schema) -> Self {
        InferredColumns { schema: schema.clone(), unreadable: vec![None; schema.fields().len()] }
    }
}
