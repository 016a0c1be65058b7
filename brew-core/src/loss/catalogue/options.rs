//! Reads a loss's options from JSON, and reports all problems at once.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Entry, OptionKind};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::schedule::TemperatureSchedule;
use crate::words::suggest;

/// The options of a loss: given values, and defaults for the others.
#[derive(Debug)]
pub struct Options {
    values: Map<String, Value>,
    schedule: Option<Arc<dyn TemperatureSchedule>>,
}

impl Options {
    /// Reads the options given for a loss; adds all problems to `problems`.
    pub fn read(entry: &Entry, given: &Map<String, Value>, problems: &mut Vec<String>) -> Self {
        let loss = entry.name;
        for name in given.keys().filter(|name| !entry.options.iter().any(|row| row.name == *name)) {
            let near = match entry.options {
                [] => "; it has no options".to_owned(),
                rows => suggest(name, rows.iter().map(|row| row.name)),
            };
            problems.push(format!("`{loss}` takes no `{name}`{near}"));
        }
        let mut values = Map::new();
        for row in entry.options {
            let value = given.get(row.name);
            match (value, row.kind) {
                (None, kind @ (OptionKind::Required(_) | OptionKind::Pairs)) => problems.push(format!(
                    "`{loss}` lacks `{}`, {}: write {{\"{}\": {}}}",
                    row.name,
                    row.about,
                    row.name,
                    kind.default()
                )),
                (Some(value), kind) if !kind.takes(value) => {
                    problems.push(format!("`{loss}`: `{}` is {value}; it must be {kind}", row.name));
                }
                (Some(value), OptionKind::Loss(_)) => {
                    problems.extend(nested(value).err().map(|error| format!("`{loss}`: {error}")));
                }
                _ => {}
            }
            values.insert(row.name.to_owned(), value.cloned().unwrap_or_else(|| row.kind.default()));
        }
        Options { values, schedule: None }
    }

    /// The same with a temperature schedule, for losses that accept one.
    pub(crate) fn scheduled(self, schedule: Option<Arc<dyn TemperatureSchedule>>) -> Self {
        Options { schedule, ..self }
    }

    /// A number; NaN if there is no such option.
    pub fn number(&self, name: &str) -> f64 {
        self.values.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// The temperature of a row that has one.
    pub(in crate::loss) fn temperature(&self) -> f64 {
        self.number("temperature")
    }

    /// A whole number; 0 if there is no such option.
    pub fn whole(&self, name: &str) -> i64 {
        self.values.get(name).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Pairs of whole numbers; empty if there is no such option.
    pub fn pairs(&self, name: &str) -> Vec<(i64, i64)> {
        self.values.get(name).and_then(pairs_of).unwrap_or_default()
    }

    /// The chosen word; empty if there is no such option.
    pub fn choice(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Constructs the loss that is the value of this option.
    ///
    /// # Errors
    /// Those of [`make`](super::make).
    pub fn loss(&self, name: &str) -> Result<Box<dyn Loss>> {
        self.values.get(name).map_or_else(|| Err(Error::invalid(format!("there is no `{name}`"))), nested)
    }

    /// The temperature schedule, if there is one.
    pub(crate) fn schedule(&self) -> Option<Arc<dyn TemperatureSchedule>> {
        self.schedule.clone()
    }
}

/// The pairs of a value such as `[[0, 3], [2, 1]]`.
pub(super) fn pairs_of(value: &Value) -> Option<Vec<(i64, i64)>> {
    let pair = |value: &Value| match value.as_array()?.as_slice() {
        [first, second] => {
            Some((i64::try_from(first.as_u64()?).ok()?, i64::try_from(second.as_u64()?).ok()?))
        }
        _ => None,
    };
    value.as_array()?.iter().map(pair).collect()
}

/// Name and options of a loss that is the value of an option.
pub(super) fn named(value: &Value) -> Option<(&str, Map<String, Value>)> {
    match value {
        Value::String(name) => Some((name, Map::new())),
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), Value::Object(options)] => Some((name, options.clone())),
            _ => None,
        },
        _ => None,
    }
}

fn nested(value: &Value) -> Result<Box<dyn Loss>> {
    let (name, options) =
        named(value).ok_or_else(|| Error::invalid(format!("{value} is not the name of a loss")))?;
    super::make(name, &options)
}
