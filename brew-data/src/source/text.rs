//! Text files through the parsers: unpacked on the way, with the file's name put to what is wrong.
//!
//! A file is read twice: once for what its columns are, once for its rows. It is never held whole.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use flate2::read::MultiGzDecoder;

use super::format::Format;
use super::kept::{Keeper, Kept};
use super::mapping::hash;
use super::schema::Refused;
use super::storage::{Object, Pieces, Storage, Watched};
use super::table::Table;
use crate::error::{Error, Result};
use crate::parse::columns::{Columns, Odd};
use crate::parse::{Emit, Problem, infer, json_lines, json_table, squad};
use crate::progress::Shown;

/// Begins a file that gzip has packed.
pub(crate) const GZIP_MARK: &[u8] = &[0x1f, 0x8b];

/// Begins a file that zstd has packed.
pub(crate) const ZSTD_MARK: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Raised when the same file would become another table.
const VERSION: u32 = 2;

/// Opens files of one format as tables of one schema, and why some of its columns cannot be read; of several
/// files, those without a row are left out.
///
/// # Errors
/// A file that cannot be read, or that is not of this format, by line and column; no row in any.
pub(crate) fn open(
    storage: &dyn Storage,
    files: &[PathBuf],
    format: &Format,
    keeper: &Keeper,
) -> Result<(Vec<Table>, Vec<Option<Refused>>)> {
    let Columns { schema, odd } = columns(storage, files, format)?;
    let schema = Arc::new(schema);
    let mut tables = Vec::with_capacity(files.len());
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        match table(path, &object, format, (&schema, &odd), keeper) {
            Ok(kept) => tables.push(Table::new(path, &schema, kept.chunks, kept.mapping)),
            Err(Error::NoRows { .. }) if files.len() > 1 => {}
            Err(error) => return Err(error),
        }
    }
    let refused = odd.into_iter().map(|odd| {
        odd.map(|Odd { file, line, message }| Refused {
            path: files[file].clone(),
            line: Some(line),
            message,
        })
    });
    Ok((tables, refused.collect()))
}

fn table(
    path: &Path,
    object: &Arc<dyn Object>,
    format: &Format,
    (schema, odd): (&SchemaRef, &[Option<Odd>]),
    keeper: &Keeper,
) -> Result<Kept> {
    let key = || hash(object, path, &format!("{VERSION} {format:?} {:?}", schema.fields()));
    keeper.keep(path, schema, key, |emit| {
        read(path, object, "reading", |reader| rows(format, (schema, odd), reader, emit))
    })
}

fn rows(
    format: &Format,
    (schema, odd): (&SchemaRef, &[Option<Odd>]),
    reader: &mut dyn BufRead,
    emit: &mut Emit<'_>,
) -> Result<(), Problem> {
    match format {
        Format::Table(_) => Err(Problem::Text("a layout alone is no format".to_owned())),
        Format::Delimited(settings) => settings.read(reader, schema, emit),
        Format::JsonLines => json_table::read(reader, schema, odd, emit),
        Format::Conll(settings) => settings.read(reader, emit),
        Format::Squad => squad::read(reader, emit),
    }
}

/// The columns of all files together.
fn columns(storage: &dyn Storage, files: &[PathBuf], format: &Format) -> Result<Columns> {
    let mut separated = infer::Inference::default();
    let mut objects = json_lines::Inference::default();
    match format {
        Format::Conll(settings) => return Ok(Columns::known(&settings.schema())),
        Format::Squad => return Ok(Columns::known(&squad::schema())),
        Format::Delimited(settings) => {
            if let Some(declared) = settings.declared() {
                return Ok(Columns::known(&declared));
            }
        }
        Format::JsonLines | Format::Table(_) => {}
    }
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        let scanned = read(path, &object, "looking through", |reader| match format {
            Format::Delimited(settings) => settings.infer(reader, &mut separated),
            _ => objects.scan(reader),
        });
        match scanned {
            Err(Problem::NoRows) if files.len() > 1 => {}
            scanned => scanned.map_err(|problem| Error::in_file(path, problem))?,
        }
    }
    let columns =
        if matches!(format, Format::Delimited(_)) { separated.columns() } else { objects.columns() };
    columns.map_err(|problem| Error::in_file(files.first().map_or(Path::new(""), PathBuf::as_path), problem))
}

/// Reads an object from its start, unpacked where it is packed.
pub(super) fn read<T>(
    path: &Path,
    object: &Arc<dyn Object>,
    doing: &str,
    parse: impl FnOnce(&mut dyn BufRead) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let watched = Arc::new(Watched::new(object.clone()));
    let mark = watched.range(0..watched.length().min(4)).map_err(Problem::Io)?;
    let raw = Shown::new(Pieces::new(watched.clone(), 0), path, doing, watched.length());
    let (unpacked, packer): (Box<dyn Read>, _) = if mark.starts_with(GZIP_MARK) {
        (Box::new(MultiGzDecoder::new(raw)), "gzip")
    } else if mark.starts_with(ZSTD_MARK) {
        let mut decoder = zstd::Decoder::new(raw).map_err(Problem::Io)?;
        // What `zstd --long` packs has windows of up to 2 GiB.
        decoder.window_log_max(31).map_err(Problem::Io)?;
        (Box::new(decoder), "zstd")
    } else {
        (Box::new(raw), "")
    };
    let mut reader = BufReader::with_capacity(1 << 16, unpacked);
    let outcome = match reader.fill_buf() {
        Err(error) => Err(Problem::Io(error)),
        Ok(start) => wide(start).map_or(Ok(()), |message| Err(Problem::Text(message))),
    };
    outcome.and_then(|()| parse(&mut reader)).map_err(|problem| match (problem, watched.failure()) {
        (Problem::Io(_), Some(failure)) => Problem::Io(failure),
        (Problem::Io(error), None) if packer.is_empty() => Problem::Io(error),
        (Problem::Io(error), None) if error.kind() == ErrorKind::UnexpectedEof => {
            let message = "it is cut short, or followed by bytes that belong to something else";
            Problem::Text(format!("the {packer} data ends in the middle: {message}"))
        }
        (Problem::Io(error), None) => Problem::Text(format!("the {packer} data cannot be unpacked: {error}")),
        (other, _) => other,
    })
}

/// What says that a text has two or four bytes per letter, as Excel's "Unicode text" and PowerShell have.
fn wide(start: &[u8]) -> Option<String> {
    let mend = "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
    match start {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            Some(format!("the text is UTF-32 by its byte order mark: {}", mend.replace("-f UTF-16", "-f UTF-32")))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(format!("the text is UTF-16 by its byte order mark: {mend}")),
        _ => start.iter().take(4).position(|&byte| byte == 0).map(|place| {
            format!("byte {place} of the file is zero, which no text in UTF-8 has: if it is text in UTF-16, {mend}")
        }),
    }
}
