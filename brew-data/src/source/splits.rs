//! Tells which split a file belongs to, by the names of files and folders, as Python's `datasets` does.
//!
//! Pure functions of relative paths. The rules are those of `datasets.data_files` 5.2, in its order: numbered
//! shards (`data/train-00000-of-00002.parquet`), then folder names (`train/a.csv`), then file names
//! (`train.csv`, `reviews_dev.tsv`). Two rules are wider: case is ignored, and numbered shards count in any
//! folder where one shard is of a known split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The known splits and their spellings.
const SPELLINGS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// The files of each split, and the folders that hold them.
pub(crate) type SplitMembers = BTreeMap<String, Vec<Member>>;

/// A file of a split.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) file: PathBuf,
    /// The data set's folder: the path up to the part that names the split.
    pub(crate) within: PathBuf,
}

/// The canonical name for this spelling of a split.
pub(crate) fn canonical(spelling: &str) -> &str {
    let known = SPELLINGS.iter().find(|(_, spellings)| spellings.contains(&spelling));
    known.map_or(spelling, |(name, _)| name)
}

/// The names in the order of `datasets`: train, validation, test, then the others.
pub(crate) fn in_order(splits: &SplitMembers) -> Vec<&str> {
    let mut names: Vec<&str> = splits.keys().map(String::as_str).collect();
    names
        .sort_by_key(|name| SPELLINGS.iter().position(|(known, _)| known == name).unwrap_or(SPELLINGS.len()));
    names
}

/// Groups files, by their paths below `root`, into splits. `declared` gives the splits of folders that list
/// them.
pub(crate) fn of(root: &Path, files: &[PathBuf], declared: &BTreeMap<PathBuf, Vec<String>>) -> SplitMembers {
    let known = collected(files, |file| by_declaration(file, declared));
    let numbered = || collected(files, |file| by_number(root, file, files));
    let folders = || collected(files, by_folder);
    let names = || collected(files, by_name);
    [known]
        .into_iter()
        .chain(std::iter::once_with(numbered))
        .chain(std::iter::once_with(folders))
        .chain(std::iter::once_with(names))
        .find(|splits| !splits.is_empty())
        .unwrap_or_default()
}

fn collected(files: &[PathBuf], of: impl Fn(&Path) -> Vec<(String, PathBuf)>) -> SplitMembers {
    let mut splits = SplitMembers::new();
    for file in files {
        for (split, within) in of(file) {
            splits.entry(split).or_default().push(Member { file: file.clone(), within });
        }
    }
    splits
}

/// `imdb-train.arrow` in a folder of which `dataset_info.json` names the split `train`.
fn by_declaration(file: &Path, declared: &BTreeMap<PathBuf, Vec<String>>) -> Vec<(String, PathBuf)> {
    let (folder, name) = parts(file);
    let stem = shard(&name).unwrap_or_else(|| name.split('.').next().unwrap_or_default());
    let splits = declared.get(folder).into_iter().flatten();
    let of = splits.filter(|split| {
        stem.strip_suffix(split.as_str()).is_some_and(|left| left.is_empty() || left.ends_with('-'))
    });
    of.map(|split| (split.clone(), folder.to_owned())).collect()
}

/// `train-00000-of-00002.parquet`, in a folder `data` or one in which such a file is of a known split.
fn by_number(root: &Path, file: &Path, files: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let (folder, name) = parts(file);
    let Some(split) = numbered_split(&name) else { return Vec::new() };
    let known = || {
        let others = files.iter().filter(|other| parts(other).0 == folder);
        let mut splits = others.filter_map(|other| numbered_split(&parts(other).1).map(str::to_owned));
        splits.any(|split| spelt_in(&split).next().is_some())
    };
    let folder_name = root.join(folder).file_name().map(|name| name.to_string_lossy().to_lowercase());
    let is_data = folder_name.is_some_and(|name| name == "data");
    if is_data || known() { vec![(canonical(split).to_owned(), folder.to_owned())] } else { Vec::new() }
}

fn by_folder(file: &Path) -> Vec<(String, PathBuf)> {
    let (folder, _) = parts(file);
    let mut within = PathBuf::new();
    let mut splits: BTreeMap<String, PathBuf> = BTreeMap::new();
    for component in folder {
        for split in spelt_in(&component.to_string_lossy().to_lowercase()) {
            splits.entry(split.to_owned()).or_insert_with(|| within.clone());
        }
        within.push(component);
    }
    splits.into_iter().collect()
}

fn by_name(file: &Path) -> Vec<(String, PathBuf)> {
    let (folder, name) = parts(file);
    spelt_in(&name).map(|split| (split.to_owned(), folder.to_owned())).collect()
}

/// The folder of a file and its name, in lower case.
fn parts(file: &Path) -> (&Path, String) {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    (file.parent().unwrap_or(Path::new("")), name)
}

/// The split of a numbered shard: letters, digits and underscores, in parts joined by points.
fn numbered_split(name: &str) -> Option<&str> {
    let word =
        |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    shard(name).filter(|split| split.split('.').all(word))
}

/// The part before `-00000-of-00002`.
fn shard(name: &str) -> Option<&str> {
    let digits = |text: &str| text.len() >= 5 && text.as_bytes()[..5].iter().all(u8::is_ascii_digit);
    name.match_indices("-of-").find_map(|(at, of)| {
        let (before, after) = (&name[..at], &name[at + of.len()..]);
        let (split, number) = before.rsplit_once('-')?;
        (number.len() == 5 && digits(number) && digits(after) && after.contains('.')).then_some(split)
    })
}

/// The splits a name mentions: each spelling as a separate word, delimited by `-`, `.`, `_`, spaces, digits,
/// or the ends of the name.
fn spelt_in(name: &str) -> impl Iterator<Item = &'static str> {
    let apart = |letter: char| matches!(letter, '-' | '.' | '_' | ' ') || letter.is_ascii_digit();
    let words: BTreeSet<String> = name.split(apart).map(str::to_owned).collect();
    let spelt = move |spellings: &[&str]| spellings.iter().any(|spelling| words.contains(*spelling));
    SPELLINGS.into_iter().filter(move |(_, spellings)| spelt(spellings)).map(|(split, _)| split)
}
