//! Opens a table by name.

use std::path::{Path, PathBuf};

use super::Dataset;
use crate::error::{Error, Result};
use crate::parse::layout::Layout;
use crate::source::folder::find;
use crate::source::format::Format;
use crate::source::storage::{Disk, Storage};
use crate::source::{self, OpenedFiles};

impl Dataset {
    /// Opens a file, all files of a folder, a folder written by `save_to_disk` of Python's `datasets`, or the
    /// files matching a pattern such as `data/train-*.parquet`. For a folder with several splits, such as
    /// `data/{train,test}-00000-of-00001.parquet`, use [`Dataset::splits`].
    ///
    /// | kind | known by | what opening costs |
    /// |---|---|---|
    /// | Arrow IPC file or stream | its first bytes | it is mapped; unpacked once if its buffers are compressed |
    /// | Parquet | its first bytes | nothing; a column is decoded when it is first used |
    /// | CSV, TSV ([`Delimited`](crate::Delimited)) | `.csv`; `.tsv`, `.tab`, `.txt` | parsed once |
    /// | JSON, an object per line or a list of them ([`Format::JsonLines`]) | `.jsonl`, `.ndjson`, `.json` | parsed once |
    /// | lines of text ([`Format::Lines`](crate::Format::Lines)) | any, by `open_as` | parsed once |
    /// | CoNLL columns ([`Conll`](crate::Conll)) | `.conll`, `.bio`, `.iob` | parsed once |
    /// | SQuAD's JSON ([`Format::Squad`]) | `.json` with its keys: `data`, then `paragraphs` | parsed once |
    ///
    /// Text may be compressed with gzip or zstd (`.csv.gz`, `.jsonl.zst`). [`Dataset::schema`] lists the
    /// columns found; a struct column becomes one column per member, `outer.inner`.
    ///
    /// **Memory and disk.** Decoded or parsed data stays in memory up to 64 MiB in total. Anything larger is
    /// written once, as Arrow files named after the hash of the content, to a cache folder (`BREW_CACHE`,
    /// otherwise `brew` in the user's cache folder), and mapped from there. So memory does not grow with the
    /// data.
    ///
    /// **Files that change.** Do not change a mapped file in place while it is in use. If another program
    /// shortens it, the check before each epoch and each batch reports an error; if it shrinks between that
    /// check and the read, the operating system ends the process with a bus error. A file that is removed, or
    /// replaced by renaming, stays readable for whoever has it open; brew replaces its own files this way.
    ///
    /// # Errors
    /// A file that is missing, empty, without rows, damaged, truncated, or of an unknown kind; a line of text
    /// that cannot be parsed, by line and column; two columns with the same name; files whose classes or
    /// two-byte floats differ; a folder with several splits.
    ///
    /// A column that cannot be read (text among numbers, incompatible types across files, missing from some
    /// files) does not prevent reading the others: it is rejected when it is used.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(&Disk, path.as_ref(), None)
    }

    /// Opens text in a known format, whatever the file name.
    ///
    /// A [`Layout`] reads CSV or TSV without a header; for files that describe their own columns, it checks
    /// them.
    ///
    /// # Errors
    /// Those of [`Dataset::open`]; a value that does not match its column's type, by line and column; a
    /// column that is missing or has another type.
    pub fn open_as(path: impl AsRef<Path>, format: impl Into<Format>) -> Result<Self> {
        Self::open_with(&Disk, path.as_ref(), Some(format.into()))
    }

    /// As [`Dataset::open`], for a file, folder, or pattern in a store other than the local disk.
    ///
    /// # Errors
    /// Those of [`Dataset::open`].
    pub fn open_from(storage: &dyn Storage, path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(storage, path.as_ref(), None)
    }

    fn open_with(storage: &dyn Storage, path: &Path, format: Option<Format>) -> Result<Self> {
        Self::open_files(storage, path, &find(storage, path)?, format)
    }

    /// Opens files as one table; errors call it `path`.
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

    /// Checks that the layout's columns are present.
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
