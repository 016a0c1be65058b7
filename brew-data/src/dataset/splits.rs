//! Opens one split of a folder.

use std::path::{Path, PathBuf};

use super::Dataset;
use crate::error::{Error, Result};
use crate::source::folder::{self, Split};
use crate::source::format::Format;
use crate::source::splits::canonical;
use crate::source::storage::{Disk, Storage};

/// The splits of a folder; made by [`Dataset::splits`].
///
/// Splits are recognised as Python's `datasets` recognises them:
///
/// | the folder | its splits |
/// |---|---|
/// | saved by `DatasetDict.save_to_disk` | those that `dataset_dict.json` lists |
/// | of the cache of `datasets` | those that `dataset_info.json` lists |
/// | `data/train-00000-of-00002.parquet` … as on the Hub | what stands before the number of the shard |
/// | `train/a.csv`, `test/a.csv` | the names of the folders |
/// | `train.csv`, `dev.csv` | the words in the names of the files |
///
/// `train` may be spelt `training`; `validation` may be spelt `valid`, `val`, or `dev`; `test` may be spelt
/// `testing`, `eval`, or `evaluation`. Case is ignored, and numbered shards are found at any depth. The files
/// of a split form one table, in the order of their paths.
#[derive(Debug, Clone)]
pub struct Splits<'s> {
    storage: &'s dyn Storage,
    folder: PathBuf,
    splits: Vec<Split>,
}

impl Dataset {
    /// The splits of a folder; [`Splits::split`] opens one.
    ///
    /// ```
    /// use brew_data::Dataset;
    ///
    /// # fn main() -> brew_data::Result<()> {
    /// # let temporary = tempfile::tempdir().unwrap();
    /// # let folder = temporary.path();
    /// # std::fs::write(folder.join("train.csv"), "stars\n4\n5\n").unwrap();
    /// # std::fs::write(folder.join("dev.csv"), "stars\n3\n").unwrap();
    /// let splits = Dataset::splits(folder)?;
    /// assert_eq!(splits.names(), ["train", "validation"]);
    /// assert_eq!(splits.split("train")?.integers("stars")?, [4, 5]);
    /// assert_eq!(splits.split("dev")?.integers("stars")?, [3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A folder that cannot be read, has no split, or has the files of one split in several folders, such as
    /// one per language: open one of these folders.
    pub fn splits(folder: impl AsRef<Path>) -> Result<Splits<'static>> {
        Self::splits_from(&Disk, folder)
    }

    /// As [`Dataset::splits`], for a folder in a store other than the local disk.
    ///
    /// # Errors
    /// Those of [`Dataset::splits`].
    pub fn splits_from(storage: &dyn Storage, folder: impl AsRef<Path>) -> Result<Splits<'_>> {
        let folder = folder.as_ref();
        Ok(Splits { storage, folder: folder.to_owned(), splits: folder::splits(storage, folder)? })
    }
}

impl Splits<'_> {
    /// The names of the splits: train, validation, test, then the others.
    pub fn names(&self) -> Vec<&str> {
        self.splits.iter().map(|split| split.name.as_str()).collect()
    }

    /// Opens the split with this name, in any of its spellings.
    ///
    /// # Errors
    /// No such split; those of [`Dataset::open`].
    pub fn split(&self, name: &str) -> Result<Dataset> {
        self.open(name, None)
    }

    /// As [`Splits::split`], for text in a known format.
    ///
    /// # Errors
    /// No such split; those of [`Dataset::open_as`].
    pub fn split_as(&self, name: &str, format: impl Into<Format>) -> Result<Dataset> {
        self.open(name, Some(format.into()))
    }

    fn open(&self, name: &str, format: Option<Format>) -> Result<Dataset> {
        let of = |name: &str| self.splits.iter().find(|split| split.name == name);
        let Some(split) = of(name).or_else(|| of(canonical(name))) else {
            let message = format!("there is no split `{name}`; there are: {}", self.names().join(", "));
            return Err(Error::format(&self.folder, message));
        };
        Dataset::open_files(self.storage, &self.folder, &split.files(self.storage)?, format)
    }
}
