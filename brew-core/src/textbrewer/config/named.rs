//! A name with its arguments in a config: `"none"`, `["flsw", 1, 2]` or `["flsw", {"beta": 1, "gamma": 2}]`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::fields::Readable;
use crate::words::suggest;

/// A temperature schedule by name.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    /// The name in the registry, or `none`.
    pub name: String,
    /// Its arguments.
    pub arguments: Arguments,
}

/// The arguments of a named part, in the form they were written in.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments {
    /// No arguments, only the name.
    None,
    /// In order: `["flsw", 1, 2]`.
    InOrder(Vec<f64>),
    /// By name: `["flsw", {"beta": 1, "gamma": 2}]`.
    ByName(BTreeMap<String, f64>),
}

impl SchedulerConfig {
    /// A name without arguments.
    pub fn bare(name: impl Into<String>) -> Self {
        SchedulerConfig { name: name.into(), arguments: Arguments::None }
    }

    /// A name with its arguments in order.
    pub fn with(name: impl Into<String>, arguments: impl Into<Vec<f64>>) -> Self {
        SchedulerConfig { name: name.into(), arguments: Arguments::InOrder(arguments.into()) }
    }

    /// The arguments in the order of the parameters, with defaults filled in.
    pub(super) fn resolve(&self, parameters: &[(&'static str, Option<f64>)]) -> Result<Vec<f64>, String> {
        let names = || parameters.iter().map(|(name, _)| *name);
        match &self.arguments {
            Arguments::InOrder(given) if given.len() > parameters.len() => {
                return Err(format!(
                    "`{}` takes {}, but was given {} numbers",
                    self.name,
                    listed(names()),
                    given.len()
                ));
            }
            Arguments::ByName(given) => {
                if let Some(unknown) = given.keys().find(|name| !names().any(|known| known == *name)) {
                    return Err(format!("`{}` takes no `{unknown}`{}", self.name, suggest(unknown, names())));
                }
            }
            Arguments::None | Arguments::InOrder(_) => {}
        }
        let found: Vec<Option<f64>> = (parameters.iter().enumerate())
            .map(|(index, (name, default))| match &self.arguments {
                Arguments::None => *default,
                Arguments::InOrder(given) => given.get(index).copied().or(*default),
                Arguments::ByName(given) => given.get(*name).copied().or(*default),
            })
            .collect();
        let missing: Vec<&str> =
            names().zip(&found).filter(|(_, found)| found.is_none()).map(|(name, _)| name).collect();
        match missing.as_slice() {
            [] => Ok(found.into_iter().flatten().collect()),
            missing => Err(format!(
                "`{}` lacks {}: write [\"{}\", {}]",
                self.name,
                listed(missing.iter().copied()),
                self.name,
                missing.iter().map(|_| "1.0").collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Readable for SchedulerConfig {
    const MUST_BE: &'static str = "a name, [name, numbers …] or [name, {parameter: number}]";
    fn read(value: &Value) -> Option<Self> {
        let (name, rest) = match value {
            Value::Null => return Some(SchedulerConfig::bare("none")),
            Value::String(name) => return Some(SchedulerConfig::bare(name.clone())),
            Value::Array(items) => items.split_first()?,
            _ => return None,
        };
        let arguments = match rest {
            [] => Arguments::None,
            [Value::Object(named)] => {
                let named = named.iter().map(|(name, value)| Some((name.clone(), value.as_f64()?)));
                Arguments::ByName(named.collect::<Option<_>>()?)
            }
            numbers => Arguments::InOrder(numbers.iter().map(Value::as_f64).collect::<Option<_>>()?),
        };
        Some(SchedulerConfig { name: name.as_str()?.to_owned(), arguments })
    }
}

impl Serialize for SchedulerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = Value::from(self.name.clone());
        let value = match &self.arguments {
            Arguments::None => name,
            Arguments::InOrder(numbers) => {
                std::iter::once(name).chain(numbers.iter().map(|number| Value::from(*number))).collect()
            }
            Arguments::ByName(named) => {
                let named = named.iter().map(|(name, number)| (name.clone(), Value::from(*number)));
                Value::Array(vec![name, Value::Object(named.collect())])
            }
        };
        value.serialize(serializer)
    }
}
