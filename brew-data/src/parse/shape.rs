//! The type of a JSON column, and its values under construction.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::array::{ArrayRef, ListArray, NullArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

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
    /// What one value is.
    ///
    /// # Errors
    /// A value that no column can hold, in words that read on from "the value is".
    pub(crate) fn of(value: &Json) -> Result<Self, String> {
        Ok(match value {
            Json::Null => Shape::Null,
            Json::Bool(_) => Shape::Bool,
            Json::Integer(_) => Shape::Integer,
            Json::Beyond => return Err(value.kind().to_owned()),
            Json::Float(_) => Shape::Float,
            Json::Text(_) => Shape::Text,
            Json::Object(_) => return Err("an object, which is no column within a list".to_owned()),
            Json::List(values) => {
                let mut item = Shape::Null;
                for value in values {
                    if let Json::Object(_) = value {
                        return Err("a list of objects, which is not supported as a column".to_owned());
                    }
                    let of_value = Shape::of(value).map_err(|message| format!("a list of {message}"))?;
                    let known = item.clone();
                    item = item.joined(&of_value).ok_or_else(|| {
                        format!("a list of {} and of {}", known.in_words(), of_value.in_words())
                    })?;
                }
                Shape::List(Box::new(item))
            }
        })
    }

    /// What holds values of both: whole numbers become numbers, nothing else changes.
    pub(crate) fn joined(self, other: &Shape) -> Option<Self> {
        Some(match (self, other) {
            (known, Shape::Null) => known,
            (Shape::Null, other) => other.clone(),
            (Shape::Integer, Shape::Float) | (Shape::Float, Shape::Integer) => Shape::Float,
            (Shape::List(known), Shape::List(other)) => Shape::List(Box::new(known.joined(other)?)),
            (known, other) if known == *other => known,
            _ => return None,
        })
    }

    /// What its values are, in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Shape::Null => "nulls".to_owned(),
            Shape::Bool => "truth values".to_owned(),
            Shape::Integer => "whole numbers".to_owned(),
            Shape::Float => "numbers".to_owned(),
            Shape::Text => "text".to_owned(),
            Shape::List(item) => format!("lists of {}", item.in_words()),
        }
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
        use arrow::array::builder::ArrayBuilder as _;
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
