//! Where the tensors are in what a TorchScript module returns, and what is said if they are not there.

use std::fmt;
use std::path::Path;

use tch::{IValue, Tensor};

use crate::error::{Error, Result};
use crate::words::suggest;

/// A place in a module's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// At this position of a tuple or list, from 0; position 0 of a single tensor is the tensor itself.
    At(usize),
    /// Under this key of a dict.
    Named(String),
}

impl Part {
    /// Under this key of a dict.
    pub fn named(key: impl Into<String>) -> Self {
        Part::Named(key.into())
    }

    /// What a module returned at this place; `what` it should be names it in the error.
    pub(super) fn of<'v>(&self, returned: &'v IValue, path: &Path, what: &str) -> Result<&'v IValue> {
        let found = match (self, returned) {
            (Part::At(0), IValue::Tensor(_)) => Some(returned),
            (Part::At(place), IValue::Tuple(values) | IValue::GenericList(values)) => values.get(*place),
            (Part::Named(key), IValue::GenericDict(pairs)) => pairs
                .iter()
                .find(|(name, _)| matches!(name, IValue::String(name) if name == key))
                .map(|(_, value)| value),
            _ => None,
        };
        found.ok_or_else(|| {
            let near = match (self, returned) {
                (Part::Named(key), IValue::GenericDict(pairs)) => suggest(key, keys(pairs)),
                _ => String::new(),
            };
            Error::file(
                path,
                format!("there are no {what} at {self}: the module returned {}{near}", described(returned)),
            )
        })
    }

    pub(super) fn misfit(&self, path: &Path, what: &str, wanted: &str, found: &IValue) -> Error {
        let message =
            format!("the {what} must be {wanted}; at {self} the module returned {}", described(found));
        Error::file(path, message)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::At(place) => write!(formatter, "position {place}"),
            Part::Named(key) => write!(formatter, "key `{key}`"),
        }
    }
}

/// A tuple or list as tensors; `None` for anything else.
pub(super) fn tensors(value: &IValue) -> Option<Vec<Tensor>> {
    match value {
        IValue::TensorList(tensors) => Some(tensors.iter().map(Tensor::shallow_clone).collect()),
        IValue::Tuple(values) | IValue::GenericList(values) => values
            .iter()
            .map(|value| if let IValue::Tensor(tensor) = value { Some(tensor.shallow_clone()) } else { None })
            .collect(),
        _ => None,
    }
}

fn keys(pairs: &[(IValue, IValue)]) -> impl Iterator<Item = &str> {
    pairs.iter().filter_map(|(key, _)| if let IValue::String(key) = key { Some(key.as_str()) } else { None })
}

fn described(value: &IValue) -> String {
    match value {
        IValue::None => "None".to_owned(),
        IValue::Tensor(tensor) => format!("a tensor of {:?}", tensor.size()),
        IValue::Tuple(values) => format!("a tuple of {}", values.len()),
        IValue::GenericList(values) => format!("a list of {}", values.len()),
        IValue::TensorList(tensors) => format!("a list of {} tensors", tensors.len()),
        IValue::GenericDict(pairs) => {
            format!("a dict of {}", keys(pairs).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        }
        _ => "something that is neither tensors nor a collection of them".to_owned(),
    }
}
