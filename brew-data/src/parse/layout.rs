//! Declares the columns of a text file that does not describe them.

use arrow::datatypes::{DataType, Field, Schema};

/// Names and types of the columns of a table, left to right.
///
/// ```
/// use brew_data::Layout;
///
/// // 17 <tab> -0.6 <tab> Effective but too tepid biopic
/// let layout = Layout::new().integer("id").float("rating").text("text");
/// # let _ = layout;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Layout {
    fields: Vec<Field>,
}

impl Layout {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of whole numbers (int64).
    pub fn integer(self, name: &str) -> Self {
        self.with(name, DataType::Int64)
    }

    /// Adds a column of numbers (float64).
    pub fn float(self, name: &str) -> Self {
        self.with(name, DataType::Float64)
    }

    /// Adds a column of text (UTF-8).
    pub fn text(self, name: &str) -> Self {
        self.with(name, DataType::Utf8)
    }

    fn with(mut self, name: &str, data_type: DataType) -> Self {
        self.fields.push(Field::new(name, data_type, false));
        self
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn schema(&self) -> Schema {
        Schema::new(self.fields.clone())
    }

    /// What a declared column needs, if a column of type `found` does not provide it. Any width of integer,
    /// float, or text fits, and whole numbers fit floats.
    pub(crate) fn mismatch(declared: &DataType, found: &DataType) -> Option<&'static str> {
        let is_text = matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match declared {
            DataType::Int64 => (!found.is_integer()).then_some("integers"),
            DataType::Float64 => (!found.is_integer() && !found.is_floating()).then_some("numbers"),
            _ => (!is_text).then_some("text"),
        }
    }
}

impl From<&Layout> for Layout {
    fn from(layout: &Layout) -> Self {
        layout.clone()
    }
}
