//! One line of JSON as a value, with the order of its keys and none of them twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Problem;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The object that stands in a line.
///
/// # Errors
/// A line that is not one JSON object, by the byte of the line.
pub(crate) fn object(line: usize, text: &[u8]) -> Result<Vec<(String, Json)>, Problem> {
    match serde_json::from_slice(text) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(other) => Err(Problem::line(line, format!("{} is not an object: a row is one", other.kind()))),
        Err(error) => {
            let message = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = message.strip_suffix(&place).unwrap_or(&message);
            Err(Problem::line(
                line,
                format!("not JSON from byte {} of the line on: {message}", error.column()),
            ))
        }
    }
}

impl Json {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a truth value",
            Json::Integer(_) => "a whole number",
            Json::Float(_) => "a number",
            Json::Text(_) => "text",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        let value = i64::try_from(value);
        value.map(Json::Integer).map_err(|_| E::custom("the whole number does not fit 64 bits with a sign"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        // Looking through the members takes time with the square of their number: a set, from some on.
        let mut many = std::collections::HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            let twice = match members.len() {
                0..16 => members.iter().any(|(known, _)| *known == key),
                16 => {
                    many.extend(members.iter().map(|(known, _)| known.clone()));
                    many.replace(key.clone()).is_some()
                }
                _ => many.replace(key.clone()).is_some(),
            };
            if twice {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            members.push((key, value));
        }
        Ok(Json::Object(members))
    }
}
