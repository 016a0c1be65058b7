//! The type of a JSON column, and its values under construction.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, NullArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};

use super::json::Json;

/// What the values of a column are so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Nothing but nulls.
    Null,
    Bool,
    Integer,
    /// Whole numbers and others.
    Float,
    Text,
    List(Box<Shape>),
}

impl Shape {
    /// Takes a value in; whole numbers become numbers, nothing else changes.
    ///
    /// # Errors
    /// A value of another type.
    pub(crate) fn widen(&mut self, value: &Json) -> Result<(), String> {
        let widened = match (&mut *self, value) {
            (_, Json::Null) => return Ok(()),
            (Shape::List(item), Json::List(values)) => {
                return values.iter().try_for_each(|value| item.widen(value));
            }
            (Shape::Null, Json::List(values)) => {
                let mut item = Box::new(Shape::Null);
                values.iter().try_for_each(|value| item.widen(value))?;
                Shape::List(item)
            }
            (Shape::Null | Shape::Bool, Json::Bool(_)) => Shape::Bool,
            (Shape::Null | Shape::Integer, Json::Integer(_)) => Shape::Integer,
            (Shape::Float, Json::Integer(_)) => Shape::Float,
            (Shape::Null | Shape::Integer | Shape::Float, Json::Float(_)) => Shape::Float,
            (Shape::Null | Shape::Text, Json::Text(_)) => Shape::Text,
            (Shape::Null, Json::Object(_)) => return Err("a list of objects cannot be a column".to_owned()),
            (known, other) => return Err(known.refusal(other)),
        };
        *self = widened;
        Ok(())
    }

    /// Says that a value is of another type.
    pub(crate) fn refusal(&self, value: &Json) -> String {
        let known = match self {
            Shape::Null => "null",
            Shape::Bool => "truth values",
            Shape::Integer => "whole numbers",
            Shape::Float => "numbers",
            Shape::Text => "text",
            Shape::List(_) => "lists",
        };
        format!("{}, but {known} in the lines before it", value.kind())
    }

    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Shape::Null => DataType::Null,
            Shape::Bool => DataType::Boolean,
            Shape::Integer => DataType::Int64,
            Shape::Float => DataType::Float64,
            Shape::Text => DataType::Utf8,
            Shape::List(item) => DataType::new_list(item.data_type(), true),
        }
    }
}

/// Values of a column, or of the lists of one.
pub(crate) enum Values {
    Nothing(usize),
    Bools(BooleanBuilder),
    Integers(Int64Builder),
    Floats(Float64Builder),
    Texts(StringBuilder),
    /// The values of all lists, where each list ends in them, and which lists are missing.
    Lists(Box<Values>, Vec<i32>, NullBufferBuilder),
}

impl Values {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Values::Bools(BooleanBuilder::new()),
            DataType::Int64 => Values::Integers(Int64Builder::new()),
            DataType::Float64 => Values::Floats(Float64Builder::new()),
            DataType::Utf8 => Values::Texts(StringBuilder::new()),
            DataType::List(item) => {
                Values::Lists(Box::new(Values::of(item.data_type())), vec![0], NullBufferBuilder::new(0))
            }
            _ => Values::Nothing(0),
        }
    }

    fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder as _;
        match self {
            Values::Nothing(length) => *length,
            Values::Bools(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Texts(values) => values.len(),
            Values::Lists(_, ends, _) => ends.len() - 1,
        }
    }

    /// Adds missing values up to this length.
    pub(crate) fn fill(&mut self, length: usize) {
        while self.len() < length {
            match self {
                Values::Nothing(length) => *length += 1,
                Values::Bools(values) => values.append_null(),
                Values::Integers(values) => values.append_null(),
                Values::Floats(values) => values.append_null(),
                Values::Texts(values) => values.append_null(),
                Values::Lists(_, ends, missing) => {
                    ends.push(ends.last().copied().unwrap_or_default());
                    missing.append_null();
                }
            }
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// One of another type: the file has changed since its columns were found out.
    pub(crate) fn push(&mut self, value: &Json) -> Result<(), String> {
        match (&mut *self, value) {
            (_, Json::Null) => self.fill(self.len() + 1),
            (Values::Bools(values), Json::Bool(value)) => values.append_value(*value),
            (Values::Integers(values), Json::Integer(value)) => values.append_value(*value),
            (Values::Floats(values), Json::Integer(value)) => values.append_value(*value as f64),
            (Values::Floats(values), Json::Float(value)) => values.append_value(*value),
            (Values::Texts(values), Json::Text(value)) => values.append_value(value),
            (Values::Lists(values, ends, missing), Json::List(list)) => {
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
            Values::Nothing(length) => Arc::new(NullArray::new(std::mem::take(length))),
            Values::Bools(values) => Arc::new(values.finish()),
            Values::Integers(values) => Arc::new(values.finish()),
            Values::Floats(values) => Arc::new(values.finish()),
            Values::Texts(values) => Arc::new(values.finish()),
            Values::Lists(values, ends, missing) => {
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
