//! Text files through the parsers: unpacked on the way, with the file's name put to what is wrong.
//!
//! A file is read twice: once for what its columns are, once for its rows. It is never held whole.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use flate2::read::MultiGzDecoder;

use super::format::Format;
use super::kept::{Keeper, Kept};
use super::mapping::hash;
use super::progress::Shown;
use super::storage::{Object, Pieces, Storage};
use super::table::Table;
use crate::error::{Error, Result};
use crate::parse::{Emit, Problem, infer, json_lines, squad};

/// Begins a file that gzip has packed.
pub(crate) const GZIP_MARK: &[u8] = &[0x1f, 0x8b];

/// Begins a file that zstd has packed.
pub(crate) const ZSTD_MARK: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Raised when the same file would become another table.
const VERSION: u32 = 1;

/// Opens files of one format as tables of one schema; of several files, those without a row are left
/// out.
///
/// # Errors
/// A file that cannot be read, or that is not of this format, by line and column; no row in any.
pub(crate) fn open(
    storage: &dyn Storage,
    files: &[PathBuf],
    format: &Format,
    keeper: &Keeper,
) -> Result<Vec<Table>> {
    let schema = schema(storage, files, format)?;
    let mut tables = Vec::with_capacity(files.len());
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        match table(path, &object, format, &schema, keeper) {
            Ok(kept) => tables.push(Table::new(path, &schema, kept.chunks, kept.mapping)),
            Err(Error::NoRows { .. }) if files.len() > 1 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(tables)
}

fn table(
    path: &Path,
    object: &Arc<dyn Object>,
    format: &Format,
    schema: &SchemaRef,
    keeper: &Keeper,
) -> Result<Kept> {
    let key = || hash(object, path, &format!("{VERSION} {format:?} {:?}", schema.fields()));
    keeper.keep(path, schema, key, |emit| {
        read(path, object, "reading", |reader| rows(format, schema, reader, emit))
    })
}

fn rows(
    format: &Format,
    schema: &SchemaRef,
    reader: &mut dyn BufRead,
    emit: &mut Emit<'_>,
) -> Result<(), Problem> {
    match format {
        Format::Table(_) => Err(Problem::Text("a layout alone is no format".to_owned())),
        Format::Delimited(settings) => settings.read(reader, schema, emit),
        Format::JsonLines => json_lines::read(reader, schema, emit),
        Format::Conll(settings) => settings.read(reader, emit),
        Format::Squad => squad::read(reader, emit),
    }
}

/// The columns of all files together.
fn schema(storage: &dyn Storage, files: &[PathBuf], format: &Format) -> Result<SchemaRef> {
    let mut separated = infer::Inference::default();
    let mut lines = json_lines::Inference::default();
    match format {
        Format::Conll(settings) => return Ok(settings.schema()),
        Format::Squad => return Ok(squad::schema()),
        Format::Delimited(settings) => {
            if let Some(declared) = settings.declared() {
                return Ok(declared);
            }
        }
        Format::JsonLines | Format::Table(_) => {}
    }
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        let scanned = read(path, &object, "looking through", |reader| match format {
            Format::Delimited(settings) => settings.infer(reader, &mut separated),
            _ => lines.scan(reader),
        });
        match scanned {
            Err(Problem::NoRows) if files.len() > 1 => {}
            scanned => scanned.map_err(|problem| named(path, problem))?,
        }
    }
    let schema = if matches!(format, Format::Delimited(_)) { separated.schema() } else { lines.schema() };
    schema
        .map(Arc::new)
        .map_err(|problem| named(files.first().map_or(Path::new(""), PathBuf::as_path), problem))
}

/// Reads an object from its start, unpacked where it is packed.
pub(super) fn read<T>(
    path: &Path,
    object: &Arc<dyn Object>,
    doing: &str,
    parse: impl FnOnce(&mut dyn BufRead) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let mark = object.range(0..object.length().min(4)).map_err(Problem::Io)?;
    let raw = Shown::new(Pieces::new(object.clone(), 0), path, doing, object.length());
    let (unpacked, packer): (Box<dyn Read>, _) = if mark.starts_with(GZIP_MARK) {
        (Box::new(MultiGzDecoder::new(raw)), "gzip")
    } else if mark.starts_with(ZSTD_MARK) {
        (Box::new(zstd::Decoder::new(raw).map_err(Problem::Io)?), "zstd")
    } else {
        (Box::new(raw), "")
    };
    parse(&mut BufReader::with_capacity(1 << 16, unpacked)).map_err(|problem| match problem {
        Problem::Io(error) if !packer.is_empty() => {
            Problem::Text(format!("the {packer} file is damaged or cut short: {error}"))
        }
        other => other,
    })
}

/// The problem as an error that names the file.
pub(super) fn named(path: &Path, problem: Problem) -> Error {
    let path = path.to_owned();
    match problem {
        Problem::Io(source) => Error::Io { path, source },
        Problem::NoRows => Error::NoRows { path },
        Problem::Text(message) => Error::Format { path, message },
        Problem::Line { line, message } => Error::Line { path, line, message },
        Problem::Field { line, column, message } => Error::Field { path, line, column, message },
        Problem::Fields { line, found, expected, columns } => {
            Error::Fields { path, line, found, expected, columns }
        }
        Problem::Stopped => Error::format(path, "the reading was ended"),
    }
}
