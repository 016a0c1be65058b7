//! Which files a name stands for: one, those of a folder, those of a saved data set, those of a pattern; and the
//! splits of a folder that holds several.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file_kind::FileKind;
use super::saved::{self, DICT, INFO, STATE};
use super::storage::Storage;
use super::{pattern, splits};
use crate::error::{Error, Result};

/// Folders within folders that are looked into: more than a data set has, and an end to links in a circle.
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

/// What a folder holds.
enum Contents {
    /// Files in the order of their rows, and the split that they are of where their names say one.
    Table(Vec<PathBuf>, Option<String>),
    /// Splits, and files that are of none.
    Splits(Vec<Split>, Vec<PathBuf>),
}

/// Finds the files of one table, in the order of their rows.
///
/// # Errors
/// A name that stands for nothing; a folder without data, or of several splits.
pub(crate) fn find(storage: &dyn Storage, path: &Path) -> Result<Vec<PathBuf>> {
    let refused = match storage.open(path) {
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(error) => error,
    };
    // Whatever a store says of a name with a star in it: only a file of that very name is none.
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
            let mut message = format!("the folder holds {several} {}", names.join(", "));
            if let Some(other) = others.first() {
                message += &format!(", and {} of none, such as {}", counted(others.len()), other.display());
            }
            let first = names.first().unwrap_or(&"train");
            message += &format!(": open one by `Dataset::splits(path)?.split(\"{first}\")`");
            message += if others.is_empty() { "" } else { ", or name the files by a pattern" };
            Err(Error::format(path, message))
        }
    }
}

fn counted(files: usize) -> String {
    if files == 1 { "a file".to_owned() } else { format!("{files} files") }
}

/// Finds the splits of a folder; there is one or more.
///
/// # Errors
/// A folder that is missing, or has no splits.
pub(crate) fn splits(storage: &dyn Storage, folder: &Path) -> Result<Vec<Split>> {
    let names = storage.list(folder).map_err(Error::io(folder))?;
    match contents(storage, folder, &names)? {
        Contents::Splits(splits, _) => Ok(splits),
        Contents::Table(files, Some(name)) => Ok(vec![Split { name, place: SplitFiles::Files(files) }]),
        Contents::Table(_, None) => {
            let message =
                "no file or folder in it is named after a split: open it as one table by `Dataset::open`";
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

/// Says that a folder has files in the folders below it alone, and how to open these.
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
        message += &format!(", or all files as one table by `Dataset::open({:?})`", folder.join(pattern));
    }
    if let Some(named) = first.iter().find(|part| part.to_string_lossy().contains('=')) {
        message += &format!("; what the names of folders say, such as {}, is no column", named.display());
    }
    message
}

/// Refuses a folder in which the files of one split lie in several folders, as those of languages do.
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
                "files of the split {name} lie in several folders, {}: open one of these, or name the files by a \
                 pattern",
                places.join(", ")
            );
            return Err(Error::format(folder, message));
        }
    }
    Ok(())
}

/// Files of data in a folder and the folders in it, by their paths below it.
#[derive(Default)]
struct FolderWalk {
    files: Vec<PathBuf>,
    /// The splits that `dataset_info.json` names, by its folder.
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
            // What `map` and `filter` of `datasets` made of a split lies beside it.
            if of_cache && (shown.starts_with("cache-") || shown.starts_with("tmp")) {
                continue;
            }
            if FileKind::is_named(path) {
                self.files.push(below.join(name));
            } else if !shown.starts_with(['.', '_']) && below.components().count() < DEPTH {
                // What is no folder has nothing in it.
                let within = storage.list(path).unwrap_or_default();
                self.look_into(storage, folder, &within, &below.join(name));
            }
        }
    }
}
