//! Builds the values of a JSON column.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::array::{ArrayRef, ListArray, NullArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::columns::is_json;
use super::json::Json;

/// Builds the values of a column, or of its lists.
pub(crate) enum JsonBuilder {
    Nothing(usize),
    Bools(BooleanBuilder),
    Integers(Int64Builder),
    Floats(Float64Builder),
    Texts(StringBuilder),
    /// Lists of objects, as JSON.
    Objects(StringBuilder),
    /// The values of all lists, the end of each list, and which lists are missing.
    Lists(Box<JsonBuilder>, Vec<i32>, NullBufferBuilder),
}

impl JsonBuilder {
    pub(crate) fn of_field(field: &Field) -> Self {
        if is_json(field) { JsonBuilder::Objects(StringBuilder::new()) } else { Self::of(field.data_type()) }
    }

    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => JsonBuilder::Bools(BooleanBuilder::new()),
            DataType::Int64 => JsonBuilder::Integers(Int64Builder::new()),
            DataType::Float64 => JsonBuilder::Floats(Float64Builder::new()),
            DataType::Utf8 => JsonBuilder::Texts(StringBuilder::new()),
            DataType::List(item) => JsonBuilder::Lists(
                Box::new(JsonBuilder::of(item.data_type())),
                vec![0],
                NullBufferBuilder::new(0),
            ),
            _ => JsonBuilder::Nothing(0),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::builder::ArrayBuilder as _;
        match self {
            JsonBuilder::Nothing(length) => *length,
            JsonBuilder::Bools(values) => values.len(),
            JsonBuilder::Integers(values) => values.len(),
            JsonBuilder::Floats(values) => values.len(),
            JsonBuilder::Texts(values) | JsonBuilder::Objects(values) => values.len(),
            JsonBuilder::Lists(_, ends, _) => ends.len() - 1,
        }
    }

    /// Adds missing values up to this length.
    pub(crate) fn fill(&mut self, length: usize) {
        while self.len() < length {
            match self {
                JsonBuilder::Nothing(length) => *length += 1,
                JsonBuilder::Bools(values) => values.append_null(),
                JsonBuilder::Integers(values) => values.append_null(),
                JsonBuilder::Floats(values) => values.append_null(),
                JsonBuilder::Texts(values) | JsonBuilder::Objects(values) => values.append_null(),
                JsonBuilder::Lists(_, ends, missing) => {
                    ends.push(ends.last().copied().unwrap_or_default());
                    missing.append_null();
                }
            }
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// A value of another type: the file has changed since the scan.
    pub(crate) fn push(&mut self, value: &Json) -> Result<(), String> {
        match (&mut *self, value) {
            (_, Json::Null) => self.fill(self.len() + 1),
            (JsonBuilder::Bools(values), Json::Bool(value)) => values.append_value(*value),
            (JsonBuilder::Integers(values), Json::Integer(value)) => values.append_value(*value),
            (JsonBuilder::Floats(values), Json::Integer(value)) => values.append_value(*value as f64),
            (JsonBuilder::Floats(values), Json::Float(value)) => values.append_value(*value),
            (JsonBuilder::Texts(values), Json::Text(value)) => values.append_value(value),
            (JsonBuilder::Objects(values), Json::List(_)) => {
                let mut text = String::new();
                value.written(&mut text).map_err(|found| format!("a list of objects with {found}"))?;
                values.append_value(text);
            }
            (JsonBuilder::Lists(values, ends, missing), Json::List(list)) => {
                list.iter().try_for_each(|value| values.push(value))?;
                ends.push(i32::try_from(values.len()).map_err(|_| "the lists are too long".to_owned())?);
                missing.append_non_null();
            }
            (_, other) => return Err(format!("{} does not fit the column's type", other.kind())),
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            JsonBuilder::Nothing(length) => Arc::new(NullArray::new(std::mem::take(length))),
            JsonBuilder::Bools(values) => Arc::new(values.finish()),
            JsonBuilder::Integers(values) => Arc::new(values.finish()),
            JsonBuilder::Floats(values) => Arc::new(values.finish()),
            JsonBuilder::Texts(values) | JsonBuilder::Objects(values) => Arc::new(values.finish()),
            JsonBuilder::Lists(values, ends, missing) => {
                let DataType::List(item) = data_type else {
                    return Err(ArrowError::SchemaError(format!("{data_type} is not a list")));
                };
                let values = values.finish(item.data_type())?;
                let ends = OffsetBuffer::new(std::mem::replace(ends, vec![0]).into());
                Arc::new(ListArray::try_new(item.clone(), ends, values, missing.finish())?) as ArrayRef
            }
        })
    }
}
