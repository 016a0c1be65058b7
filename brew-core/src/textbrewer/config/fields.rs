//! Reads JSON objects key by key, collecting every problem instead of stopping at the first.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::words::{numbered, suggest};

/// The keys of one object that have not been read yet.
pub(super) struct Fields<'p> {
    /// The path of the object in its file, with a trailing dot; empty at the top level.
    at: String,
    what: &'static str,
    values: Map<String, Value>,
    known: Vec<&'static str>,
    pub(super) problems: &'p mut Vec<String>,
}

/// A type that one value of a config can have.
pub(super) trait Readable: Sized {
    /// The expected value, in words.
    const MUST_BE: &'static str;
    fn read(value: &Value) -> Option<Self>;
}

macro_rules! readable {
    ($($ty:ty, $must_be:literal, $read:expr;)*) => {
        $(impl Readable for $ty {
            const MUST_BE: &'static str = $must_be;
            fn read(value: &Value) -> Option<Self> {
                let read: fn(&Value) -> Option<$ty> = $read;
                read(value)
            }
        })*
    };
}

readable! {
    f64, "a number", Value::as_f64;
    bool, "true or false", Value::as_bool;
    i64, "a whole number", Value::as_i64;
    u64, "a whole number, not negative", Value::as_u64;
    String, "a text", |value| value.as_str().map(str::to_owned);
    (f64, f64), "two numbers in a list", |value| match value.as_array()?.as_slice() {
        [first, second] => Some((first.as_f64()?, second.as_f64()?)),
        _ => None,
    };
    Value, "a value", |value| Some(value.clone());
}

impl<T: Readable> Readable for Option<T> {
    const MUST_BE: &'static str = T::MUST_BE;
    fn read(value: &Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::read(value).map(Some) }
    }
}

impl<'p> Fields<'p> {
    /// The keys of an object at this path in a `what`; adds a problem if the value is not an object.
    pub(super) fn of(at: &str, what: &'static str, value: Value, problems: &'p mut Vec<String>) -> Self {
        let values = match value {
            Value::Object(values) => values,
            other => {
                let name = if at.is_empty() { what.to_owned() } else { format!("`{at}`") };
                problems.push(format!("{name} is {other}; it must be an object of keys and values"));
                Map::new()
            }
        };
        let at = if at.is_empty() { String::new() } else { format!("{at}.") };
        Fields { at, what, values, known: Vec::new(), problems }
    }

    /// The path of a key.
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.at)
    }

    /// The value of a key, or the default if the key is missing or its value has the wrong type.
    pub(super) fn take<T: Readable>(&mut self, key: &'static str, default: T) -> T {
        self.find(key).unwrap_or(default)
    }

    /// The value of a required key.
    pub(super) fn require<T: Readable>(&mut self, key: &'static str) -> Option<T> {
        if !self.values.contains_key(key) {
            self.known.push(key);
            self.problems.push(format!("`{}` is missing; it must be {}", self.path(key), T::MUST_BE));
            return None;
        }
        self.find(key)
    }

    fn find<T: Readable>(&mut self, key: &'static str) -> Option<T> {
        self.known.push(key);
        let value = self.values.remove(key)?;
        let read = T::read(&value);
        if read.is_none() {
            self.problems.push(format!("`{}` is {value}; it must be {}", self.path(key), T::MUST_BE));
        }
        read
    }

    /// Reports the keys that were not read.
    pub(super) fn finish(self) {
        for key in self.values.keys() {
            let near = suggest(key, self.known.iter().copied());
            self.problems.push(format!("`{}{key}` is not a key of {}{near}", self.at, self.what));
        }
    }
}

/// Parses a JSON text.
pub(super) fn parse(what: &str, json: &str) -> Result<Value> {
    serde_json::from_str(json).map_err(|error| Error::invalid(format!("the {what} is not JSON: {error}")))
}

/// Parses a JSON file.
pub(super) fn parse_file(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::file(path, format!("not JSON: {error}")))
}

/// The error message with all problems of a config.
pub(super) fn refusal(what: &str, problems: &[String]) -> String {
    numbered(&format!("the {what} cannot be used"), problems)
}
