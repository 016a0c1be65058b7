//! Files a table can be read from: which kind a file is, and one room a kind.
//!
//! Parquet and Arrow files are known by their first bytes, whatever their name; what is left is told
//! by its extension.

pub(crate) mod arrow;
pub(crate) mod format;
pub(crate) mod layout;
pub(crate) mod parquet;
pub(crate) mod text;
pub(crate) mod tsv;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The kinds of files that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Compressed columns; decoded into memory.
    Parquet,
    /// An Arrow IPC file; mapped, not read.
    Arrow,
    /// Tab-separated text; parsed into memory.
    Tsv,
    /// Sentences of tokens with tags.
    Conll,
    /// One JSON document of SQuAD's form.
    Squad,
}

/// The longest of the marks below.
const MARK_LENGTH: usize = 6;

/// Finds out what a file is.
///
/// # Errors
/// A file that cannot be opened, is empty, is not what its name says, or is of a kind that brew does
/// not read.
pub(crate) fn kind_of(path: &Path) -> Result<Kind> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut mark = Vec::with_capacity(MARK_LENGTH);
    file.take(MARK_LENGTH as u64).read_to_end(&mut mark).map_err(Error::io(path))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (&mark[..], extension) {
        ([], _) => Err(Error::format(path, "the file is empty")),
        ([b'P', b'A', b'R', b'1', ..], _) => Ok(Kind::Parquet),
        (b"ARROW1", _) => Ok(Kind::Arrow),
        ([0xff, 0xff, 0xff, 0xff, ..], _) => Err(Error::format(
            path,
            "this is an Arrow IPC stream, which cannot be mapped: write it as an Arrow IPC file or as Parquet",
        )),
        (_, "parquet") => Err(Error::format(path, "not a Parquet file: it does not begin with `PAR1`")),
        (_, "arrow" | "feather" | "ipc") => {
            Err(Error::format(path, "not an Arrow IPC file: it does not begin with `ARROW1`"))
        }
        (_, "tsv" | "tab" | "txt" | "") => Ok(Kind::Tsv),
        (_, "conll" | "bio" | "iob" | "iob2") => Ok(Kind::Conll),
        (_, "json") => Ok(Kind::Squad),
        (_, other) => Err(Error::format(
            path,
            format!(
                "files of kind `.{other}` are not read; there are: Parquet, Arrow IPC files, TSV (.tsv, .tab, .txt), CoNLL (.conll, .bio, .iob) and SQuAD's JSON (.json)"
            ),
        )),
    }
}
