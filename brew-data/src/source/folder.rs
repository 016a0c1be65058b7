//! Resolves a name to files: one file, a folder, a saved data set, or a pattern; and finds the splits of a
//! folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file_kind::FileKind;
use super::saved::{self, DICT, INFO, STATE};
use super::storage::Storage;
use super::{pattern, splits};
use crate::error::{Error, Result};

/// The maximum depth of nested folders: more than data sets need, and a bound for circular links.
const DEPTH: usize = 8;

/// A split of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    pub(crate) name: String,
    place: SplitFiles,
}

#[derive(Debug, Clone)]
enum SplitFiles {
    /// A folder of its own.
    Folder(PathBuf),
    Files(Vec<PathBuf>),
}

/// The contents of a folder.
enum Contents {
    /// Files in the order of their rows, and the split their names indicate, if any.
    Table(Vec<PathBuf>, Option<String>),
    /// Splits, and files outside any split.
    Splits(Vec<Split>, Vec<PathBuf>),
}

/// Finds the files of one table, in the order of their rows.
///
/// # Errors
/// The name matches nothing; the folder has no data, or has several splits.
pub(crate) fn find(storage: &dyn Storage, path: &Path) -> Result<Vec<PathBuf>> {
    let refused = match storage.open(path) {
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(error) => error,
    };
    // A name with wildcards is a pattern unless a file has exactly this name, whatever error the store gives.
    if pattern::is_one(path) {
        return pattern::matching(storage, path);
    }
    if !matches!(refused.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) {
        return Err(Error::io(path)(refused));
    }
    let names = match storage.list(path) {
        Ok(names) if refused.kind() == ErrorKind::IsADirectory || !names.is_empty() => names,
        _ => return Err(Error::io(path)(refused)),
    };
    match contents(storage, path, &names)? {
        Contents::Table(files, _) => Ok(files),
        Contents::Splits(splits, others) => {
            let names: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
            let several = if names.len() == 1 { "the split" } else { "the splits" };
            let mut message = format!("the folder has {several} {}", names.join(", "));
            if let Some(other) = others.first() {
                message +=
                    &format!(", and {} outside them, such as {}", counted(others.len()), other.display());
            }
            let first = names.first().unwrap_or(&"train");
            message += &format!(": open one with `Dataset::splits(path)?.split(\"{first}\")`");
            message += if others.is_empty() { "" } else { ", or select the files with a pattern" };
            Err(Error::format(path, message))
        }
    }
}

fn counted(files: usize) -> String {
    if files == 1 { "a file".to_owned() } else { format!("{files} files") }
}

/// Finds the splits of a folder: at least one.
///
/// # Errors
/// The folder is missing or has no splits.
pub(crate) fn splits(storage: &dyn Storage, folder: &Path) -> Result<Vec<Split>> {
    let names = storage.list(folder).map_err(Error::io(folder))?;
    match contents(storage, folder, &names)? {
        Contents::Splits(splits, _) => Ok(splits),
        Contents::Table(files, Some(name)) => Ok(vec![Split { name, place: SplitFiles::Files(files) }]),
        Contents::Table(_, None) => {
            let message =
                "no file or folder in it is named after a split: open it as one table with `Dataset::open`";
            Err(Error::format(folder, message))
        }
    }
}

impl Split {
    /// Its files, in the order of their rows.
    pub(crate) fn files(&self, storage: &dyn Storage) -> Result<Vec<PathBuf>> {
        match &self.place {
            SplitFiles::Files(files) => Ok(files.clone()),
            SplitFiles::Folder(folder) => find(storage, folder),
        }
    }
}

fn contents(storage: &dyn Storage, folder: &Path, names: &[PathBuf]) -> Result<Contents> {
    let has = |name: &str| names.iter().any(|path| path.file_name().is_some_and(|known| known == name));
    if has(STATE) {
        return saved::files(storage, folder).map(|files| Contents::Table(files, None));
    }
    if has(DICT) {
        let splits = saved::splits(storage, folder)?.into_iter();
        let splits = splits.map(|(name, folder)| Split { name, place: SplitFiles::Folder(folder) });
        return Ok(Contents::Splits(splits.collect(), Vec::new()));
    }
    let mut found = FolderWalk::default();
    found.look_into(storage, folder, names, Path::new(""));
    found.files.sort();
    let splits = splits::of(folder, &found.files, &found.declared);
    let within = |file: &PathBuf| folder.join(file);
    let of_splits: BTreeSet<&PathBuf> = splits.values().flatten().map(|member| &member.file).collect();
    let others: Vec<PathBuf> = found.files.iter().filter(|file| !of_splits.contains(file)).cloned().collect();
    if splits.is_empty() {
        let direct = found.files.iter().filter(|file| file.components().count() == 1);
        let files: Vec<PathBuf> = direct.map(within).collect();
        if files.is_empty() {
            return Err(Error::format(folder, none_directly(folder, &found.files)));
        }
        return Ok(Contents::Table(files, None));
    }
    one_data_set(folder, &splits)?;
    let files_of = |name: &str| splits[name].iter().map(|member| within(&member.file)).collect::<Vec<_>>();
    let names = splits::in_order(&splits);
    if let ([name], true) = (&names[..], others.is_empty()) {
        return Ok(Contents::Table(files_of(name), Some((*name).to_owned())));
    }
    let splits = names
        .into_iter()
        .map(|name| Split { name: name.to_owned(), place: SplitFiles::Files(files_of(name)) });
    Ok(Contents::Splits(splits.collect(), others))
}

/// Says that data files lie only in subfolders, and how to open them.
fn none_directly(folder: &Path, below: &[PathBuf]) -> String {
    let message = "the folder has no file of data directly in it".to_owned();
    let Some(first) = below.first() else { return message };
    let files = if below.len() == 1 { "one" } else { &below.len().to_string() };
    let mut message = format!("{message}, but {files} in the folders below, such as {}", first.display());
    let form = |file: &Path| (file.components().count(), file.extension().map(ToOwned::to_owned));
    message += ": open one of these folders";
    if let (levels, Some(extension)) = form(first)
        && below.iter().all(|file| form(file) == form(first))
        && !pattern::is_one(folder)
    {
        let pattern = format!("{}*.{}", "*/".repeat(levels - 1), extension.display());
        message += &format!(", or all files as one table with `Dataset::open({:?})`", folder.join(pattern));
    }
    if let Some(named) = first.iter().find(|part| part.to_string_lossy().contains('=')) {
        message += &format!("; folder names such as {} do not become columns", named.display());
    }
    message
}

/// Rejects a folder whose files of one split are in several folders, such as one per language.
fn one_data_set(folder: &Path, splits: &splits::SplitMembers) -> Result<()> {
    for (name, members) in splits {
        let places: BTreeSet<&Path> = members.iter().map(|member| &*member.within).collect();
        if places.len() > 1 {
            let shown = |place: &&Path| match place.as_os_str().is_empty() {
                true => "this one".to_owned(),
                false => place.display().to_string(),
            };
            let places: Vec<_> = places.iter().map(shown).collect();
            let message = format!(
                "files of the split {name} are in several folders, {}: open one of them, or select the files \
                 with a pattern",
                places.join(", ")
            );
            return Err(Error::format(folder, message));
        }
    }
    Ok(())
}

/// The data files below a folder, by relative path.
#[derive(Default)]
struct FolderWalk {
    files: Vec<PathBuf>,
    /// The splits that each `dataset_info.json` names, by folder.
    declared: BTreeMap<PathBuf, Vec<String>>,
}

impl FolderWalk {
    fn look_into(&mut self, storage: &dyn Storage, folder: &Path, names: &[PathBuf], below: &Path) {
        let of_cache = names.iter().any(|path| path.file_name().is_some_and(|name| name == INFO));
        if of_cache && let Some(splits) = saved::declared(storage, &folder.join(below).join(INFO)) {
            self.declared.insert(below.to_owned(), splits);
        }
        for path in names {
            let name = path.file_name().unwrap_or_default();
            let shown = name.to_string_lossy();
            // `map` and `filter` of `datasets` leave their results beside a split.
            if of_cache && (shown.starts_with("cache-") || shown.starts_with("tmp")) {
                continue;
            }
            if FileKind::is_named(path) {
                self.files.push(below.join(name));
            } else if !shown.starts_with(['.', '_']) && below.components().count() < DEPTH {
                // Listing a file gives nothing.
                let within = storage.list(path).unwrap_or_default();
                self.look_into(storage, folder, &within, &below.join(name));
            }
        }
    }
}
