//! The type of a JSON column.

use arrow::datatypes::{DataType, Field};

use super::columns::as_json;
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
    /// Lists of objects, or of lists of them, which are kept as JSON.
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
                    value.check_numbers().map_err(|found| format!("a list of objects with {found}"))?;
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
                // A list of lists of objects is JSON as a whole.
                if item == JsonType::Objects { item } else { JsonType::List(Box::new(item)) }
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
