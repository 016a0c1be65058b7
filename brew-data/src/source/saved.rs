//! The files in which Python's `datasets` lists the files and splits of a data set.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::storage::Storage;
use crate::error::{Error, Result};

/// Lists the shards of a saved data set.
pub(super) const STATE: &str = "state.json";

/// Lists the splits of a saved `DatasetDict`.
pub(super) const DICT: &str = "dataset_dict.json";

/// Describes the files in the cache of `datasets`.
pub(super) const INFO: &str = "dataset_info.json";

#[derive(Deserialize)]
struct StateFile {
    #[serde(rename = "_data_files")]
    data_files: Vec<DataFile>,
    #[serde(rename = "_indices_data_files", default)]
    indices: Option<Vec<DataFile>>,
}

#[derive(Deserialize)]
struct DataFile {
    filename: String,
}

#[derive(Deserialize)]
struct DictFile {
    splits: Vec<String>,
}

/// The files of a data set written by `save_to_disk`.
pub(super) fn files(storage: &dyn Storage, folder: &Path) -> Result<Vec<PathBuf>> {
    let path = folder.join(STATE);
    let state: StateFile = read(storage, &path)?;
    if state.indices.is_some_and(|indices| !indices.is_empty()) {
        let message = "the data set stores a selection of rows separately: save it again after \
                       `flatten_indices()`";
        return Err(Error::format(path, message));
    }
    if state.data_files.is_empty() {
        return Err(Error::format(path, "it lists no data file"));
    }
    let files = state.data_files.iter().map(|file| Ok(folder.join(below(&path, &file.filename)?)));
    files.collect()
}

/// Checks that a listed name lies inside the folder of its list.
fn below<'n>(list: &Path, name: &'n str) -> Result<&'n Path> {
    let path = Path::new(name);
    let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
    if plain && !name.is_empty() {
        return Ok(path);
    }
    Err(Error::format(list, format!("it lists `{name}`, which is not inside its folder")))
}

/// The splits of a data set written by `DatasetDict.save_to_disk`, with their folders.
pub(super) fn splits(storage: &dyn Storage, folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let path = folder.join(DICT);
    let dict: DictFile = read(storage, &path)?;
    let folder_of = |name: String| {
        let place = folder.join(below(&path, &name)?);
        Ok((name, place))
    };
    dict.splits.into_iter().map(folder_of).collect()
}

/// The splits named in a `dataset_info.json`, if any.
pub(super) fn declared(storage: &dyn Storage, path: &Path) -> Option<Vec<String>> {
    let info: Value = read(storage, path).ok()?;
    Some(info.get("splits")?.as_object()?.keys().map(|name| name.to_lowercase()).collect())
}

fn read<T: for<'de> Deserialize<'de>>(storage: &dyn Storage, path: &Path) -> Result<T> {
    let object = storage.open(path).map_err(Error::io(path))?;
    let bytes = object.range(0..object.length()).map_err(Error::io(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::format(path, error))
}
