//! The column descriptions that Python's `datasets` writes, and how they carry over to tables derived from
//! them.

use arrow::datatypes::Metadata;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Dataset;
use crate::error::{Error, Result};

/// The key of this description in the schema's metadata.
const KEY: &str = "huggingface";

/// The key for the class names of a multi-hot column: `datasets` has none, and ignores extra keys of a value.
const MULTI_HOT: &str = "multi_hot";

/// Prefix of the keys that identify brew's cache files.
const OUR_KEYS: &str = "brew.";

/// The part of a `ClassLabel` description that is read.
#[derive(Deserialize)]
struct ClassLabel {
    names: Vec<String>,
}

impl Dataset {
    /// The names of a column's classes, in the order of their numbers: for a column made by
    /// [`to_classes`](super::Recast::to_classes) or [`to_multi_hot`](super::Recast::to_multi_hot), or for a
    /// `ClassLabel` (or a list of them) written by Python's `datasets`; otherwise `None`. The names follow
    /// the column when it is renamed, written, or tokenised.
    ///
    /// # Errors
    /// No such column.
    pub fn class_names(&self, column: &str) -> Result<Option<Vec<String>>> {
        self.field(column)?;
        names_in(self.schema().metadata(), column).map_err(|error| {
            let message = format!("what `datasets` says about the columns cannot be read: {error}");
            Error::format(self.path(), message)
        })
    }

    /// The metadata for a copy of these columns: their descriptions, and everything else if they are all of
    /// the table's columns.
    pub(crate) fn metadata_of(&self, columns: &[&str]) -> Metadata {
        let metadata = self.schema().metadata();
        let mut kept = Metadata::default();
        if columns.len() == self.schema().fields().len() {
            for (key, value) in metadata.iter().filter(|(key, _)| !key.starts_with(OUR_KEYS)) {
                kept.insert(key, value);
            }
        }
        let described = described(metadata, columns.iter().map(|column| (*column, *column)));
        match (described, kept.get(KEY).map(|text| serde_json::from_str::<Value>(text))) {
            (Some(features), Some(Ok(mut whole))) if whole["info"]["features"] != features => {
                whole["info"]["features"] = features;
                kept.insert(KEY, whole.to_string());
            }
            (Some(features), None) => {
                kept.insert(KEY, json!({"info": {"features": features}}).to_string());
            }
            _ => {}
        }
        kept
    }
}

/// The metadata with descriptions of the columns `made`, each derived from a column with another name.
pub(crate) fn with_made(mut metadata: Metadata, of: &Metadata, made: &[(&str, &str)]) -> Metadata {
    let Some(Value::Object(features)) = described(of, made.iter().copied()) else { return metadata };
    let text = metadata.get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut whole = text.unwrap_or_else(|| json!({"info": {"features": {}}}));
    if let Some(known) = whole["info"]["features"].as_object_mut() {
        known.extend(features);
    }
    metadata.insert(KEY, whole.to_string());
    metadata
}

/// The metadata with this description of a column.
pub(super) fn with_feature(mut metadata: Metadata, column: &str, feature: Value) -> Metadata {
    let text = metadata.get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let known = text.filter(|whole| whole["info"]["features"].is_object());
    let mut whole = known.unwrap_or_else(|| json!({"info": {"features": {}}}));
    if let Some(features) = whole["info"]["features"].as_object_mut() {
        features.insert(column.to_owned(), feature);
    }
    metadata.insert(KEY, whole.to_string());
    metadata
}

/// The metadata once the column `from` is called `to`.
pub(super) fn renamed(metadata: &Metadata, from: &str, to: &str) -> Metadata {
    let others = without(&without(metadata, from), to);
    with_made(others, metadata, &[(to, from)])
}

/// The description of numbers of classes, or of lists of them.
pub(super) fn of_classes(names: &[String], in_lists: bool) -> Value {
    let label = json!({"_type": "ClassLabel", "names": names});
    if in_lists { json!({"_type": "List", "feature": label}) } else { label }
}

/// The description of one 0 or 1 for each class.
pub(super) fn of_multi_hot(names: &[String]) -> Value {
    let value = json!({"_type": "Value", "dtype": "uint8", MULTI_HOT: names});
    json!({"_type": "List", "feature": value, "length": names.len()})
}

/// Whether a column is described as one 0 or 1 for each class.
pub(super) fn is_multi_hot(metadata: &Metadata, column: &str) -> bool {
    let description = metadata.get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let found = description.and_then(|whole| find(&whole["info"]["features"], column));
    found.is_some_and(|found| found["feature"].get(MULTI_HOT).is_some())
}

/// The metadata without the description of a column whose values changed.
pub(super) fn without(metadata: &Metadata, column: &str) -> Metadata {
    let mut metadata = metadata.clone();
    if let Some(mut whole) = metadata.get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok())
        && let Some(features) = whole["info"].get_mut("features")
        && removed(features, column)
    {
        metadata.insert(KEY, whole.to_string());
    }
    metadata
}

/// Removes the description that [`find`] finds; says whether there was one.
fn removed(features: &mut Value, column: &str) -> bool {
    let Some(members) = features.as_object_mut() else { return false };
    if members.remove(column).is_some() {
        return true;
    }
    column.match_indices('.').any(|(point, _)| match members.get_mut(&column[..point]) {
        Some(outer) if outer["_type"] == "Sequence" => {
            outer.get_mut("feature").is_some_and(|within| removed(within, &column[point + 1..]))
        }
        Some(outer) => removed(outer, &column[point + 1..]),
        None => false,
    })
}

/// The metadata of shards: the first shard's, with the first description that any of them has.
pub(super) fn of_shards<'a>(mut shards: impl Iterator<Item = &'a Metadata>) -> Metadata {
    let Some(mut metadata) = shards.next().cloned() else { return Metadata::default() };
    if metadata.get(KEY).is_none()
        && let Some(text) = shards.find_map(|shard| shard.get(KEY))
    {
        metadata.insert(KEY, text);
    }
    metadata
}

/// The names of the classes of a column.
pub(super) fn names_in(metadata: &Metadata, column: &str) -> serde_json::Result<Option<Vec<String>>> {
    let Some(text) = metadata.get(KEY) else { return Ok(None) };
    let description: Value = serde_json::from_str(text)?;
    let Some(found) = find(&description["info"]["features"], column) else { return Ok(None) };
    if let Some(names) = found["feature"].get(MULTI_HOT) {
        return serde_json::from_value(names.clone()).map(Some);
    }
    let mut feature = &found;
    // Older versions write a list as a list of one feature, newer ones as an object around it.
    while feature["_type"] != "ClassLabel" {
        feature = match (&feature["feature"], &feature[0]) {
            (Value::Null, Value::Null) => return Ok(None),
            (Value::Null, inner) | (inner, _) => inner,
        };
    }
    Ok(serde::Deserialize::deserialize(feature).ok().map(|label: ClassLabel| label.names))
}

/// The descriptions of columns, each under its new name; `None` if there are none.
fn described<'a>(metadata: &Metadata, columns: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Value> {
    let description: Value = serde_json::from_str(metadata.get(KEY)?).ok()?;
    let features = &description["info"]["features"];
    let kept: Map<String, Value> =
        columns.filter_map(|(name, of)| Some((name.to_owned(), find(features, of)?))).collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// The description of a column; a struct member `outer.inner` is looked up inside the outer one's.
fn find(features: &Value, column: &str) -> Option<Value> {
    if let Some(found) = features.get(column) {
        return Some(found.clone());
    }
    column.match_indices('.').find_map(|(point, _)| {
        let (outer, member) = (features.get(&column[..point])?, &column[point + 1..]);
        // A sequence of structs is stored as a struct of lists.
        if outer["_type"] == "Sequence" {
            let mut sequence = outer.clone();
            sequence["feature"] = find(&outer["feature"], member)?;
            return Some(sequence);
        }
        find(outer, member)
    })
}
