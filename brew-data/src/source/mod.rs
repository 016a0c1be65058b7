//! Files that a table can be read from: which there are, what each is, and one room a kind.

pub(crate) mod folder;
pub(crate) mod format;
pub(crate) mod ipc;
mod kept;
mod kind;
pub(crate) mod mapping;
mod marks;
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

use self::format::Format;
use self::kept::Keeper;
use self::kind::Kind;
use self::schema::Joined;
use self::storage::Storage;
use self::table::Table;
use crate::error::{Error, Result};
use crate::parse::delimited::Delimited;

/// Files that are opened as one table.
pub(crate) struct Opened {
    pub(crate) tables: Vec<Table>,
    pub(crate) schema: Joined,
    /// A [`Format::Table`] that is still to be held against the tables, which say themselves what they hold.
    pub(crate) unchecked: Option<Format>,
}

/// Opens files as one table, in the order of their rows.
///
/// # Errors
/// A file that is missing, empty, damaged, cut short or of another kind; files of different kinds.
pub(crate) fn open(storage: &dyn Storage, files: &[PathBuf], format: Option<Format>) -> Result<Opened> {
    let keeper = Keeper::new();
    let (kind, unchecked) = kind(storage, files, format)?;
    let (tables, refused) = match &kind {
        Kind::Text(format) => text::open(storage, files, format, &keeper)?,
        _ => {
            let mut tables = Vec::with_capacity(files.len());
            for path in files {
                let object = storage.open(path).map_err(Error::io(path))?;
                tables.push(match kind {
                    Kind::Parquet => parquet::open(path, object, &keeper)?,
                    _ => ipc::open(path, &object, &keeper)?,
                });
            }
            (tables, Vec::new())
        }
    };
    Ok(Opened { schema: Joined::of(&tables, refused), tables, unchecked })
}

/// The kind of all files, and the columns that are still to be held against them.
fn kind(storage: &dyn Storage, files: &[PathBuf], format: Option<Format>) -> Result<(Kind, Option<Format>)> {
    let layout = match format {
        Some(Format::Table(layout)) => Some(layout),
        Some(format) => return Ok((Kind::Text(format), None)),
        None => None,
    };
    let mut first: Option<(&Path, Kind)> = None;
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        let kind = Kind::of(path, &object)?;
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
        (Kind::Text(Format::Delimited(settings)), Some(layout)) => {
            let settings: Delimited = settings.layout(layout);
            (Kind::Text(Format::Delimited(settings)), None)
        }
        (kind, layout) => (kind, layout.map(Format::Table)),
    })
}
