//! Which files a name stands for: one, those of a folder, those of a saved data set, those of a pattern.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::kind::Kind;
use super::storage::Storage;
use crate::error::{Error, Result};

/// Files in the order of their rows.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
}

/// What Python's `datasets` writes beside the shards of a data set.
const STATE: &str = "state.json";

/// What it writes beside the folders of several.
const SPLITS: &str = "dataset_dict.json";

#[derive(Deserialize)]
struct State {
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
struct Splits {
    splits: Vec<String>,
}

/// Finds the files.
///
/// # Errors
/// A name that stands for nothing; a folder without data, or of several data sets.
pub(crate) fn find(storage: &dyn Storage, path: &Path) -> Result<Found> {
    let refused = match storage.open(path) {
        Ok(_) => return Ok(Found { files: vec![path.to_owned()] }),
        Err(error) => error,
    };
    if refused.kind() == ErrorKind::NotFound && has_pattern(path) {
        let mut files = matching(storage, path)?;
        files.sort();
        if files.is_empty() {
            return Err(Error::format(path, "no file matches this pattern"));
        }
        return Ok(Found { files });
    }
    if !matches!(refused.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) {
        return Err(Error::io(path)(refused));
    }
    match storage.list(path) {
        Ok(names) if refused.kind() == ErrorKind::IsADirectory || !names.is_empty() => {
            of_folder(storage, path, names)
        }
        _ => Err(Error::io(path)(refused)),
    }
}

fn of_folder(storage: &dyn Storage, folder: &Path, names: Vec<PathBuf>) -> Result<Found> {
    let has = |name: &str| names.iter().any(|path| path.file_name().is_some_and(|known| known == name));
    if has(STATE) {
        let path = folder.join(STATE);
        let state: State = read(storage, &path)?;
        if state.indices.is_some_and(|indices| !indices.is_empty()) {
            let message = "the data set keeps a selection of its rows apart: save it again after \
                           `flatten_indices()`";
            return Err(Error::format(path, message));
        }
        let files: Vec<_> = state.data_files.iter().map(|file| folder.join(&file.filename)).collect();
        if files.is_empty() {
            return Err(Error::format(path, "it lists no data file"));
        }
        return Ok(Found { files });
    }
    if has(SPLITS) {
        let splits: Splits = read(storage, &folder.join(SPLITS))?;
        let message =
            format!("the folder holds several data sets; open one of them: {}", splits.splits.join(", "));
        return Err(Error::format(folder, message));
    }
    let mut files: Vec<_> = names.into_iter().filter(|name| Kind::is_named(name)).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::format(folder, "the folder has no file of data directly in it"));
    }
    Ok(Found { files })
}

fn read<T: for<'de> Deserialize<'de>>(storage: &dyn Storage, path: &Path) -> Result<T> {
    let object = storage.open(path).map_err(Error::io(path))?;
    let bytes = object.range(0..object.length()).map_err(Error::io(path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::format(path, error))
}

fn has_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// The files whose names match: `*` stands for any letters of one name, `?` for one.
fn matching(storage: &dyn Storage, pattern: &Path) -> Result<Vec<PathBuf>> {
    let parts: Vec<Component<'_>> = pattern.components().collect();
    let mut found = vec![PathBuf::new()];
    for (index, part) in parts.iter().enumerate() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if !text.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
            // What is no folder has nothing in it that could match.
            for name in storage.list(listed).unwrap_or_default() {
                let name = name.file_name().unwrap_or_default();
                if matches(&text, &name.to_string_lossy()) {
                    next.push(folder.join(name));
                }
            }
        }
        found = next;
        if found.is_empty() && index + 1 < parts.len() {
            break;
        }
    }
    found.retain(|path| storage.open(path).is_ok());
    Ok(found)
}

/// Whether a name matches a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // A leading point hides a file from patterns that do not have one.
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // Where to go on when the last star has to stand for one letter more.
    let (mut at, mut in_name, mut star) = (0, 0, None);
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&letter) if letter == '?' || letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    in_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&letter| letter == '*')
}
