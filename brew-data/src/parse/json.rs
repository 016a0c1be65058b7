//! A JSON value, with the order of its keys and none of them twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The members of an object, in order.
pub(crate) type Members = Vec<(String, Json)>;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// A whole number that does not fit int64.
    Beyond,
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Members),
}

/// The start of the message about a duplicate key.
pub(super) const TWICE: &str = "the key `";

/// Whole numbers below this are parsed exactly.
const ROUNDED: f64 = 9_223_372_036_854_775_808.0;

impl Json {
    /// Whether it contains a float as large as those the parser makes of long whole numbers.
    pub(super) fn may_be_rounded(&self) -> bool {
        match self {
            Json::Float(value) => value.is_finite() && value.abs() >= ROUNDED,
            Json::List(values) => values.iter().any(Json::may_be_rounded),
            Json::Object(members) => members.iter().any(|(_, value)| value.may_be_rounded()),
            _ => false,
        }
    }

    /// Marks floats that may be rounded whole numbers.
    pub(super) fn unround(&mut self) {
        match self {
            Json::Float(_) if self.may_be_rounded() => *self = Json::Beyond,
            Json::List(values) => values.iter_mut().for_each(Json::unround),
            Json::Object(members) => members.iter_mut().for_each(|(_, value)| value.unround()),
            _ => {}
        }
    }

    /// Rejects what [`written`](Self::written) would.
    ///
    /// # Errors
    /// A number that JSON or int64 does not have; the text names it.
    pub(super) fn check_numbers(&self) -> Result<(), String> {
        match self {
            Json::Float(value) if !value.is_finite() => Err(format!("the number {value}")),
            Json::Beyond => Err(self.kind().to_owned()),
            Json::List(values) => values.iter().try_for_each(Json::check_numbers),
            Json::Object(members) => members.iter().try_for_each(|(_, value)| value.check_numbers()),
            _ => Ok(()),
        }
    }

    /// Appends it as JSON.
    ///
    /// # Errors
    /// A number that JSON or int64 does not have; the text names it.
    pub(super) fn written(&self, into: &mut String) -> Result<(), String> {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Json::Null => into.push_str("null"),
            Json::Bool(value) => into.push_str(if *value { "true" } else { "false" }),
            Json::Integer(value) => into.push_str(&value.to_string()),
            Json::Float(value) if value.is_finite() => {
                into.push_str(&serde_json::Value::from(*value).to_string())
            }
            Json::Float(value) => return Err(format!("the number {value}")),
            Json::Beyond => return Err(self.kind().to_owned()),
            Json::Text(value) => into.push_str(&text(value)),
            Json::List(values) => {
                into.push('[');
                for (place, value) in values.iter().enumerate() {
                    into.push_str(if place > 0 { "," } else { "" });
                    value.written(into)?;
                }
                into.push(']');
            }
            Json::Object(members) => {
                into.push('{');
                for (place, (key, value)) in members.iter().enumerate() {
                    into.push_str(if place > 0 { "," } else { "" });
                    into.push_str(&text(key));
                    into.push(':');
                    value.written(into)?;
                }
                into.push('}');
            }
        }
        Ok(())
    }

    /// Its kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a truth value",
            Json::Integer(_) => "a whole number",
            Json::Beyond => "a whole number beyond int64",
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

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Beyond, Json::Integer))
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
        let mut members = Members::new();
        // Scanning all members takes quadratic time, so many members use a set.
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
                return Err(A::Error::custom(format!("{TWICE}{key}` appears twice")));
            }
            members.push((key, value));
        }
        Ok(Json::Object(members))
    }
}
