//! Files that a table can be read from: which there are, what each is, and one room a kind.

pub(crate) mod arrow;
pub(crate) mod folder;
pub(crate) mod format;
mod kept;
mod kind;
pub(crate) mod mapping;
mod parquet;
mod pattern;
pub(crate) mod progress;
mod saved;
pub(crate) mod splits;
pub(crate) mod storage;
pub(crate) mod table;
mod text;
pub(crate) mod unpack;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use self::format::Format;
use self::kept::Keeper;
use self::kind::Kind;
use self::storage::Storage;
use self::table::Table;
use crate::error::{Error, Result};
use crate::parse::delimited::Delimited;

/// Opens files as one table, in the order of their rows. Also gives
/// whether a [`Format::Table`] is still to be held against the tables, which say themselves what they
/// hold.
///
/// # Errors
/// A file that is missing, empty, damaged, cut short or of another kind; files of different kinds or
/// columns.
pub(crate) fn open(
    storage: &dyn Storage,
    files: &[PathBuf],
    format: Option<Format>,
) -> Result<(SchemaRef, Vec<Table>, Option<Format>)> {
    let keeper = Keeper::new();
    let (kind, unchecked) = kind(storage, files, format)?;
    let tables = match &kind {
        Kind::Text(format) => text::open(storage, files, format, &keeper)?,
        _ => {
            let mut tables = Vec::with_capacity(files.len());
            for path in files {
                let object = storage.open(path).map_err(Error::io(path))?;
                tables.push(match kind {
                    Kind::Parquet => parquet::open(path, object, &keeper)?,
                    _ => arrow::open(path, &object, &keeper)?,
                });
            }
            tables
        }
    };
    Ok((one_schema(&tables)?, tables, unchecked))
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

/// The schema of all tables.
///
/// # Errors
/// Tables of different columns, by file and column.
fn one_schema(tables: &[Table]) -> Result<SchemaRef> {
    let Some(first) = tables.first() else { return Ok(Arc::new(Schema::empty())) };
    let mut fields: Vec<Field> = first.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    for table in &tables[1..] {
        let other = table.schema.fields();
        for (field, other) in fields.iter_mut().zip(other) {
            if field.name() != other.name() || !field.data_type().equals_datatype(other.data_type()) {
                let message = format!(
                    "the column `{}` is {}, where {} has the column `{}` as {}",
                    other.name(),
                    other.data_type(),
                    first.path.display(),
                    field.name(),
                    field.data_type()
                );
                return Err(Error::format(&*table.path, message));
            }
            field.set_nullable(field.is_nullable() || other.is_nullable());
        }
        if fields.len() != other.len() {
            let message = format!(
                "it has {} columns, where {} has {}",
                other.len(),
                first.path.display(),
                fields.len()
            );
            return Err(Error::format(&*table.path, message));
        }
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, first.schema.metadata().clone())))
}
