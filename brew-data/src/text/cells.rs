//! Reads the values that tokenising needs from a chunk of rows, and builds lists.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, ListArray, RecordBatch};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use minijinja::Value;

use super::nested::value_at;
use crate::arrays::lists::{range, values};
use crate::arrays::numbers::{Numbers, append};
use crate::arrays::text::text_at;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parse::columns::is_json;

/// Some consecutive rows in use, copied.
#[derive(Debug)]
pub(super) struct Cells<'d> {
    pub(super) dataset: &'d Dataset,
    /// The first of them.
    pub(super) first_row: usize,
    pub(super) columns: RecordBatch,
}

impl Cells<'_> {
    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// A column of text.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let array = self.text_column(name, "text")?;
        let texts = (0..self.rows()).map(|row| text_at(array, row));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong_type(name, "text"))
    }

    /// The value of a row, with lists and objects as they are.
    fn stored(&self, name: &str, row: usize) -> Result<Value> {
        let array = self.column(name)?;
        value_at(array, row).ok_or_else(|| self.wrong_type(name, "lists, objects, text, and numbers"))
    }

    /// The lists and objects of a row, which may be JSON text; empty text is missing.
    pub(super) fn json(&self, name: &str, row: usize) -> Result<Value> {
        let value = self.stored(name, row)?;
        match value.as_str().map(str::trim) {
            Some("") => Ok(Value::from(())),
            Some(text) => serde_json::from_str(text)
                .map_err(|error| self.bad(row, name, format!("the text is not JSON: {error}"))),
            None => Ok(value),
        }
    }

    /// A text that may be missing.
    pub(super) fn text_if_any(&self, name: &str, row: usize) -> Result<Option<String>> {
        let value = self.stored(name, row)?;
        match value.as_str() {
            Some(text) if !self.is_json(name) => Ok(Some(text.to_owned())),
            None if value.is_none() => Ok(None),
            _ => Err(self.wrong_type(name, "text")),
        }
    }

    /// A column of lists of text; plain text counts as lists of one.
    pub(super) fn lists_of_texts(&self, name: &str) -> Result<Vec<Vec<&str>>> {
        let array = self.text_column(name, "lists of text")?;
        let (values, ranges) = lists(array);
        self.refuse_nulls(name, values, &ranges)?;
        let texts = |range: Range<usize>| range.map(|value| text_at(values, value)).collect::<Option<_>>();
        let lists = ranges.into_iter().map(texts);
        lists.collect::<Option<_>>().ok_or_else(|| self.wrong_type(name, "lists of text"))
    }

    /// A column of lists of whole numbers; plain numbers count as lists of one.
    pub(super) fn lists_of_integers(&self, name: &str) -> Result<Vec<Vec<i64>>> {
        self.dataset.refuse_bits(name, "lists of integers")?;
        let array = self.column(name)?;
        let (values, ranges) = lists(array);
        self.refuse_nulls(name, values, &ranges)?;
        let wrong_type = || self.wrong_type(name, "lists of integers");
        let numbers = |(row, range): (usize, Range<usize>)| {
            let mut numbers = Numbers::for_type(values.data_type(), range.len()).ok_or_else(wrong_type)?;
            append(values, range, &mut numbers).map_err(|message| self.bad(row, name, message))?;
            match numbers {
                Numbers::Integers(values) => Ok(values),
                Numbers::Floats(_) => Err(wrong_type()),
            }
        };
        ranges.into_iter().enumerate().map(numbers).collect()
    }

    /// An error about one of these rows.
    pub(super) fn bad(&self, row: usize, column: &str, message: impl Into<String>) -> Error {
        self.dataset.bad_value(self.first_row + row, column, message)
    }

    /// A column of any type.
    pub(super) fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.columns
            .column_by_name(name)
            .ok_or_else(|| Error::format(self.dataset.path(), format!("column `{name}` was not read")))
    }

    /// A column whose text, if it is text, is not JSON.
    fn text_column(&self, name: &str, needed: &str) -> Result<&ArrayRef> {
        if self.is_json(name) { Err(self.wrong_type(name, needed)) } else { self.column(name) }
    }

    /// Whether a column holds lists of objects as JSON.
    pub(super) fn is_json(&self, name: &str) -> bool {
        self.columns.schema_ref().field_with_name(name).is_ok_and(is_json)
    }

    pub(super) fn wrong_type(&self, name: &str, needed: &str) -> Error {
        match self.dataset.field(name) {
            Ok(field) => self.dataset.wrong_type(field, needed),
            Err(missing) => missing,
        }
    }

    fn refuse_nulls(&self, name: &str, values: &dyn Array, ranges: &[Range<usize>]) -> Result<()> {
        let Some(nulls) = values.logical_nulls() else { return Ok(()) };
        let row = ranges.iter().position(|range| range.clone().any(|value| nulls.is_null(value)));
        row.map_or(Ok(()), |row| Err(self.bad(row, name, "a value of the list is missing (null)")))
    }
}

/// The values of a list column, and the range of each row; any other column is its own values.
fn lists(array: &ArrayRef) -> (&ArrayRef, Vec<Range<usize>>) {
    (values(array), (0..array.len()).map(|row| range(array, row)).collect())
}

/// A column of lists of int32 under construction.
#[derive(Debug, Default)]
pub(super) struct Lists {
    values: Vec<i32>,
    lengths: Vec<usize>,
}

impl Lists {
    /// Its field in a schema.
    pub(super) fn field(name: &str) -> Field {
        Field::new(name, DataType::new_list(DataType::Int32, true), false)
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = i32>) {
        let before = self.values.len();
        self.values.extend(row);
        self.lengths.push(self.values.len() - before);
    }

    /// The column.
    pub(super) fn finish(self) -> ArrayRef {
        let item: FieldRef = Arc::new(Field::new_list_field(DataType::Int32, true));
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let values = Int32Array::new(ScalarBuffer::from(self.values), None);
        Arc::new(ListArray::new(item, offsets, Arc::new(values), None))
    }
}
