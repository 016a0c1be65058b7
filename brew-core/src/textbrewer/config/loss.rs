//! A loss with its options in a config: `"hidden_mse"` or `["dkd", {"alpha": 1, "beta": 8}]`.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::fields::Readable;

/// A loss by name, as in a config: from the [catalogue](crate::loss::catalogue), or your own if a
/// [`Registry`](super::Registry) knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct LossConfig {
    /// The name.
    pub name: String,
    /// The options that differ from their defaults.
    pub options: Map<String, Value>,
}

impl LossConfig {
    /// A loss with these options; a value that is not an object gives no options.
    pub fn with(name: impl Into<String>, options: Value) -> Self {
        let options = match options {
            Value::Object(options) => options,
            _ => Map::new(),
        };
        LossConfig { name: name.into(), options }
    }
}

impl From<&str> for LossConfig {
    fn from(name: &str) -> Self {
        LossConfig { name: name.to_owned(), options: Map::new() }
    }
}

impl Readable for LossConfig {
    const MUST_BE: &'static str = "the name of a loss, or [name, {option: value}]";
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) => Some(LossConfig::from(name.as_str())),
            Value::Array(items) => match items.as_slice() {
                [Value::String(name)] => Some(LossConfig::from(name.as_str())),
                [Value::String(name), options @ Value::Object(_)] => {
                    Some(LossConfig::with(name.clone(), options.clone()))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl Serialize for LossConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = match self.options.is_empty() {
            true => json!(self.name),
            false => json!([self.name, self.options]),
        };
        value.serialize(serializer)
    }
}
