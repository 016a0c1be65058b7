//! The columns inferred from a text, including those that cannot be read.
//!
//! A file is not rejected for columns that nobody uses: a column whose values do not fit together is known by
//! name, and rejected when it is used.

use arrow::datatypes::{DataType, Field, Schema};

/// The metadata key of a field that names an extension of Arrow's types, and the name of JSON text.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// The field of text as one of JSON.
pub(crate) fn as_json(field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(EXTENSION.0.to_owned(), EXTENSION.1.to_owned());
    field.with_metadata(metadata)
}

/// Whether the text of a column is JSON: lists of objects have no type of their own.
pub(crate) fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION.0).is_some_and(|name| name == EXTENSION.1)
}

/// The type of a column, for messages.
pub(crate) fn type_in_words(field: &Field) -> String {
    if is_json(field) { "lists of objects (JSON)".to_owned() } else { field.data_type().to_string() }
}

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
    /// From fields, and why a column cannot be read. An unreadable column has no values: its type is null.
    pub(crate) fn new(columns: impl IntoIterator<Item = (Field, Option<Unreadable>)>) -> Self {
        let columns = columns.into_iter().map(|(field, unreadable)| match unreadable {
            Some(unreadable) => (Field::new(field.name(), DataType::Null, true), Some(unreadable)),
            None => (field, None),
        });
        let (fields, unreadable): (Vec<_>, Vec<_>) = columns.unzip();
        InferredColumns { schema: Schema::new(fields), unreadable }
    }

    /// Declared columns, all readable.
    pub(crate) fn known(schema: &Schema) -> Self {
        InferredColumns { schema: schema.clone(), unreadable: vec![None; schema.fields().len()] }
    }
}
