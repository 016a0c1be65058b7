//! Files that hold tables: finding them, telling what they are, and one module per kind.

mod decode_cache;
mod file_kind;
pub(crate) mod folder;
mod foreign;
pub(crate) mod format;
pub(crate) mod ipc;
pub(crate) mod mapping;
mod parquet;
mod pattern;
mod saved;
pub(crate) mod schema;
pub(crate) mod splits;
pub(crate) mod storage;
pub(crate) mod table;
mod text;
pub(crate) mod unpack;
mod wider;

use std::path::{Path, PathBuf};

use self::decode_cache::DecodeCache;
use self::file_kind::FileKind;
use self::format::Format;
use self::schema::Joined;
use self::storage::Storage;
use self::table::Table;
use crate::error::{Error, Result};
use crate::parse::delimited::Delimited;

/// Files opened as one table.
pub(crate) struct OpenedFiles {
    pub(crate) tables: Vec<Table>,
    pub(crate) schema: Joined,
    /// A [`Format::Table`] still to be checked against tables that describe themselves.
    pub(crate) unchecked: Option<Format>,
}

/// Opens files as one table, in the order of their rows.
///
/// # Errors
/// A file that is missing, empty, damaged, truncated, or of an unknown kind; files of different kinds.
pub(crate) fn open(storage: &dyn Storage, files: &[PathBuf], format: Option<Format>) -> Result<OpenedFiles> {
    let cache = DecodeCache::new();
    let (kind, unchecked) = kind(storage, files, format)?;
    let (tables, refused) = match &kind {
        FileKind::Text(format) => text::open(storage, files, format, &cache)?,
        _ => {
            let mut tables = Vec::with_capacity(files.len());
            for path in files {
                let object = storage.open(path).map_err(Error::io(path))?;
                tables.push(match kind {
                    FileKind::Parquet => parquet::open(path, object, &cache)?,
                    _ => ipc::open(path, &object, &cache)?,
                });
            }
            (tables, Vec::new())
        }
    };
    Ok(OpenedFiles { schema: Joined::of(&tables, refused), tables, unchecked })
}

/// The kind of all files, and the layout still to be checked against them.
fn kind(
    storage: &dyn Storage,
    files: &[PathBuf],
    format: Option<Format>,
) -> Result<(FileKind, Option<Format>)> {
    let layout = match format {
        Some(Format::Table(layout)) => Some(layout),
        Some(format) => return Ok((FileKind::Text(format), None)),
        None => None,
    };
    let mut first: Option<(&Path, FileKind)> = None;
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        let kind = FileKind::of(path, &object)?;
        match &first {
            None => first = Some((path, kind)),
            Some((other, known)) if known.name() != kind.name() => {
                let message = format!("this is {}, but {} is {}", kind.name(), other.display(), known.name());
                return Err(Error::format(path, message));
            }
            Some(_) => {}
        }
    }
    let Some((_, kind)) = first else { return Err(Error::Setting("no file to open".to_owned())) };
    Ok(match (kind, layout) {
        (FileKind::Text(Format::Delimited(settings)), Some(layout)) => {
            let settings: Delimited = settings.layout(layout);
            (FileKind::Text(Format::Delimited(settings)), None)
        }
        (kind, layout) => (kind, layout.map(Format::Table)),
    })
}
