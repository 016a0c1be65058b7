//! From a name to a table.

use std::path::{Path, PathBuf};

use super::Dataset;
use crate::error::{Error, Result};
use crate::parse::layout::Layout;
use crate::source::folder::find;
use crate::source::format::Format;
use crate::source::storage::{Disk, Storage};
use crate::source::{self, OpenedFiles};

impl Dataset {
    /// Opens a file, the files of a folder one after another, a folder that Python's `datasets` wrote
    /// with `save_to_disk`, or the files that a pattern such as `data/train-*.parquet` matches. Of a folder
    /// with several splits, such as `data/{train,test}-00000-of-00001.parquet`, [`Dataset::splits`] opens one.
    ///
    /// | kind | known by | what opening costs |
    /// |---|---|---|
    /// | Arrow IPC file or stream | its first bytes | it is mapped; unpacked once if its buffers are compressed |
    /// | Parquet | its first bytes | nothing; a column is decoded when it is first used |
    /// | CSV, TSV ([`Delimited`](crate::Delimited)) | `.csv`; `.tsv`, `.tab`, `.txt` | parsed once |
    /// | JSON, an object per line or a list of them ([`Format::JsonLines`]) | `.jsonl`, `.ndjson`, `.json` | parsed once |
    /// | CoNLL columns ([`Conll`](crate::Conll)) | `.conll`, `.bio`, `.iob` | parsed once |
    /// | SQuAD's JSON ([`Format::Squad`]) | `.json` with its keys: `data`, then `paragraphs` | parsed once |
    ///
    /// Text may be packed by gzip or zstd (`.csv.gz`, `.jsonl.zst`). [`Dataset::schema`] says which
    /// columns were found; a column of structs is one column for each member, `outer.inner`.
    ///
    /// **Memory and disk.** What is decoded or parsed stays in memory up to 64 MiB in all. What is
    /// larger is written as Arrow files to a cache folder (`BREW_CACHE`, else `brew` in the user's cache
    /// folder), under the hash of the content, and mapped; it is found there the next time. So memory
    /// does not grow with the data.
    ///
    /// **Files that change.** A mapped file must not be changed in place while it is in use. If another
    /// program shortens it, this is noticed before each epoch and each batch and is an error that says
    /// so; should the file shrink between that look and the reading, the operating system ends the
    /// process with a bus error. A file that is replaced by renaming or removed stays as it was for
    /// whoever has it open, and so do all files that brew writes.
    ///
    /// # Errors
    /// A file that is missing, empty, without rows, damaged, cut short or of another kind; a line of text
    /// that cannot be read, by line and column; two columns of one name; files with different classes or two-byte
    /// floats; a folder of several splits.
    ///
    /// A column whose values do not go together (a text among numbers, another type in another file, a column
    /// that only some files have) keeps nobody from reading the others: it is refused when it is used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(&Disk, path.as_ref(), None)
    }

    /// Opens text of a known format, whatever it is called.
    ///
    /// By a [`Layout`], CSV or TSV without a header is read; of files which say themselves what they
    /// hold, the columns are checked against it.
    ///
    /// # Errors
    /// Those of [`Dataset::open`]; a value that is not of its column's type, by line and column; a
    /// column that is missing or of another type.
    pub fn open_as(path: impl AsRef<Path>, format: impl Into<Format>) -> Result<Self> {
        Self::open_with(&Disk, path.as_ref(), Some(format.into()))
    }

    /// As [`Dataset::open`], of a file, folder or pattern of another store than this machine's disk.
    ///
    /// # Errors
    /// Those of [`Dataset::open`].
    pub fn open_from(storage: &dyn Storage, path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(storage, path.as_ref(), None)
    }

    fn open_with(storage: &dyn Storage, path: &Path, format: Option<Format>) -> Result<Self> {
        Self::open_files(storage, path, &find(storage, path)?, format)
    }

    /// Opens files that are called `path` together.
    pub(super) fn open_files(
        storage: &dyn Storage,
        path: &Path,
        files: &[PathBuf],
        format: Option<Format>,
    ) -> Result<Self> {
        let OpenedFiles { tables, schema, unchecked } = source::open(storage, files, format)?;
        let dataset = Self::of(path, schema, tables)?;
        match unchecked {
            Some(Format::Table(layout)) => dataset.laid_out(&layout),
            _ => Ok(dataset),
        }
    }

    /// Checks that the columns of a layout are there.
    fn laid_out(self, layout: &Layout) -> Result<Self> {
        let mut problems = Vec::new();
        for field in layout.fields() {
            match self.field(field.name()) {
                Err(problem) => problems.push(problem),
                Ok(found) => problems.extend(
                    Layout::mismatch(field.data_type(), found.data_type())
                        .map(|needed| self.wrong_type(found, needed)),
                ),
            }
        }
        Error::all(problems).map(|()| self)
    }
}
