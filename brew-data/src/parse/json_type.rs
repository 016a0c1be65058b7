//! The type of a JSON column, and the builder of its values.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::array::{ArrayRef, ListArray, NullArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::columns::{as_json, is_json};
use super::json::Json;

/// The type of a column's values so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JsonType {
    /// Nothing but nulls.
    Null,
    Bool,
    Integer,
    /// Numbers, whole or not.
    Float,
    Text,
    List(Box<JsonType>),
    /// Lists of objects, which are kept as JSON.
    Objects,
}

impl JsonType {
    /// The type of one value.
    ///
    /// # Errors
    /// A value that no column can hold; the text continues "the value is".
    pub(crate) fn of(value: &Json) -> Result<Self, String> {
        Ok(match value {
            Json::Null => JsonType::Null,
            Json::Bool(_) => JsonType::Bool,
            Json::Integer(_) => JsonType::Integer,
            Json::Beyond => return Err(value.kind().to_owned()),
            Json::Float(_) => JsonType::Float,
            Json::Text(_) => JsonType::Text,
            Json::Object(_) => return Err("an object, which is no column within a list".to_owned()),
            Json::List(values) if matches!(values.first(), Some(Json::Object(_))) => {
                for value in values {
                    value
                        .written(&mut String::new())
                        .map_err(|found| format!("a list of objects with {found}"))?;
                }
                match values.iter().find(|value| !matches!(value, Json::Object(_))) {
                    Some(other) => return Err(format!("a list of objects and of {}", other.kind())),
                    None => JsonType::Objects,
                }
            }
            Json::List(values) => {
                let mut item = JsonType::Null;
                for value in values {
                    if let Json::Object(_) = value {
                        return Err(format!("a list of {} and of objects", item.in_words()));
                    }
                    let of_value = JsonType::of(value).map_err(|message| format!("a list of {message}"))?;
                    let known = item.clone();
                    item = item.joined(&of_value).ok_or_else(|| {
                        format!("a list of {} and of {}", known.in_words(), of_value.in_words())
                    })?;
                }
                JsonType::List(Box::new(item))
            }
        })
    }

    /// The type that holds values of both: whole numbers become numbers, nothing else changes.
    pub(crate) fn joined(self, other: &JsonType) -> Option<Self> {
        Some(match (self, other) {
            (known, JsonType::Null) => known,
            (JsonType::Null, other) => other.clone(),
            (JsonType::Integer, JsonType::Float) | (JsonType::Float, JsonType::Integer) => JsonType::Float,
            (JsonType::Objects, JsonType::List(item)) if **item == JsonType::Null => JsonType::Objects,
            (JsonType::List(item), JsonType::Objects) if *item == JsonType::Null => JsonType::Objects,
            (JsonType::List(known), JsonType::List(other)) => JsonType::List(Box::new(known.joined(other)?)),
            (known, other) if known == *other => known,
            _ => return None,
        })
    }

    /// Its values, for messages.
    pub(crate) fn in_words(&self) -> String {
        match self {
            JsonType::Null => "nulls".to_owned(),
            JsonType::Bool => "truth values".to_owned(),
            JsonType::Integer => "whole numbers".to_owned(),
            JsonType::Float => "numbers".to_owned(),
            JsonType::Text => "text".to_owned(),
            JsonType::List(item) => format!("lists of {}", item.in_words()),
            JsonType::Objects => "lists of objects".to_owned(),
        }
    }

    /// A column of its values.
    pub(crate) fn field(&self, name: String, missing: bool) -> Field {
        let field = Field::new(name, self.data_type(), missing);
        if *self == JsonType::Objects { as_json(field) } else { field }
    }

    fn data_type(&self) -> DataType {
        match self {
            JsonType::Null => DataType::Null,
            JsonType::Bool => DataType::Boolean,
            JsonType::Integer => DataType::Int64,
            JsonType::Float => DataType::Float64,
            JsonType::Text | JsonType::Objects => DataType::Utf8,
            JsonType::List(item) => DataType::new_list(item.data_type(), true),
        }
    }
}

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
