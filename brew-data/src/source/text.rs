//! Reads text files through the parsers: decompresses them, and adds file names to errors.
//!
//! A file is read twice: once to infer its columns, once for its rows. It is never held in memory as a whole.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use flate2::read::MultiGzDecoder;

use super::decode_cache::{DecodeCache, Decoded};
use super::format::{Format, is_named_lines};
use super::mapping::hash;
use super::schema::Refused;
use super::storage::{Object, ObjectReader, Storage, Watched};
use super::table::Table;
use crate::error::{Error, Result};
use crate::parse::columns::{InferredColumns, Unreadable};
use crate::parse::{Emit, ParseError, infer, json_lines, json_table, squad, text_lines};
use crate::progress::Shown;

/// The first bytes of a gzip file.
pub(crate) const GZIP_MARK: &[u8] = &[0x1f, 0x8b];

/// The first bytes of a zstd file.
pub(crate) const ZSTD_MARK: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Increased when the same file would give a different table.
const VERSION: u32 = 2;

/// Opens files of one format as tables with one schema, and says why some columns cannot be read. Of several
/// files, those without rows are skipped.
///
/// # Errors
/// A file cannot be read or does not have this format, by line and column; no file has a row.
pub(crate) fn open(
    storage: &dyn Storage,
    files: &[PathBuf],
    format: &Format,
    cache: &DecodeCache,
) -> Result<(Vec<Table>, Vec<Option<Refused>>)> {
    let InferredColumns { schema, unreadable } = columns(storage, files, format)?;
    let schema = Arc::new(schema);
    let mut tables = Vec::with_capacity(files.len());
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        match table(path, &object, format, (&schema, &unreadable), cache) {
            Ok(kept) => tables.push(Table::new(path, &schema, kept.chunks, kept.mapping)),
            Err(Error::NoRows { .. }) if files.len() > 1 => {}
            Err(error) => return Err(error),
        }
    }
    let refused = unreadable.into_iter().map(|unreadable| {
        unreadable.map(|Unreadable { file, line, message }| Refused {
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
    (schema, unreadable): (&SchemaRef, &[Option<Unreadable>]),
    cache: &DecodeCache,
) -> Result<Decoded> {
    let key = || hash(object, path, &format!("{VERSION} {format:?} {:?}", schema.fields()));
    cache.keep(path, schema, key, |emit| {
        read(path, object, "reading", |reader| rows(format, (schema, unreadable), reader, emit))
    })
}

fn rows(
    format: &Format,
    (schema, unreadable): (&SchemaRef, &[Option<Unreadable>]),
    reader: &mut dyn BufRead,
    emit: &mut Emit<'_>,
) -> Result<(), ParseError> {
    match format {
        Format::Table(_) => Err(ParseError::Text("a layout alone is not a format".to_owned())),
        Format::Delimited(settings) => settings.read(reader, schema, emit),
        Format::JsonLines => json_table::read(reader, schema, unreadable, emit),
        Format::Conll(settings) => settings.read(reader, emit),
        Format::Squad => squad::read(reader, emit),
        Format::Lines => text_lines::read(reader, emit),
    }
}

/// The columns of all files together.
fn columns(storage: &dyn Storage, files: &[PathBuf], format: &Format) -> Result<InferredColumns> {
    let mut separated = infer::DelimitedInference::default();
    let mut objects = json_lines::JsonInference::default();
    match format {
        Format::Conll(settings) => return Ok(InferredColumns::known(&settings.schema())),
        Format::Squad => return Ok(InferredColumns::known(&squad::schema())),
        Format::Lines => return Ok(InferredColumns::known(&text_lines::schema())),
        Format::Delimited(settings) => {
            if let Some(declared) = settings.declared() {
                return Ok(InferredColumns::known(&declared));
            }
        }
        Format::JsonLines | Format::Table(_) => {}
    }
    for path in files {
        let object = storage.open(path).map_err(Error::io(path))?;
        let scanned = read(path, &object, "scanning", |reader| match format {
            Format::Delimited(settings) => settings.infer(reader, &mut separated),
            _ => objects.scan(reader, is_named_lines(path)),
        });
        match scanned {
            Err(ParseError::NoRows) if files.len() > 1 => {}
            scanned => scanned.map_err(|problem| Error::in_file(path, problem))?,
        }
    }
    let columns =
        if matches!(format, Format::Delimited(_)) { separated.columns() } else { objects.columns() };
    columns.map_err(|problem| Error::in_file(files.first().map_or(Path::new(""), PathBuf::as_path), problem))
}

/// Reads an object from its start, decompressing if necessary.
pub(super) fn read<T>(
    path: &Path,
    object: &Arc<dyn Object>,
    doing: &str,
    parse: impl FnOnce(&mut dyn BufRead) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    let watched = Arc::new(Watched::new(object.clone()));
    let mark = watched.range(0..watched.length().min(4)).map_err(ParseError::Io)?;
    let raw = Shown::new(ObjectReader::new(watched.clone(), 0), path, doing, watched.length());
    let (unpacked, packer): (Box<dyn Read>, _) = if mark.starts_with(GZIP_MARK) {
        (Box::new(MultiGzDecoder::new(raw)), "gzip")
    } else if mark.starts_with(ZSTD_MARK) {
        let mut decoder = zstd::Decoder::new(raw).map_err(ParseError::Io)?;
        // `zstd --long` uses windows of up to 2 GiB.
        decoder.window_log_max(31).map_err(ParseError::Io)?;
        (Box::new(decoder), "zstd")
    } else {
        (Box::new(raw), "")
    };
    let mut reader = BufReader::with_capacity(1 << 16, unpacked);
    let outcome = match reader.fill_buf() {
        Err(error) => Err(ParseError::Io(error)),
        Ok(start) => wide(start).map_or(Ok(()), |message| Err(ParseError::Text(message))),
    };
    outcome.and_then(|()| parse(&mut reader)).map_err(|problem| match (problem, watched.failure()) {
        (ParseError::Io(_), Some(failure)) => ParseError::Io(failure),
        (ParseError::Io(error), None) if packer.is_empty() => ParseError::Io(error),
        (ParseError::Io(error), None) if error.kind() == ErrorKind::UnexpectedEof => {
            let message = "it is truncated, or followed by other data";
            ParseError::Text(format!("the {packer} data ends in the middle: {message}"))
        }
        (ParseError::Io(error), None) => {
            ParseError::Text(format!("the {packer} data cannot be unpacked: {error}"))
        }
        (other, _) => other,
    })
}

/// Detects text in UTF-16 or UTF-32, as written by Excel's "Unicode text" and PowerShell.
fn wide(start: &[u8]) -> Option<String> {
    let mend = "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
    match start {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some(format!(
            "the text is UTF-32 by its byte order mark: {}",
            mend.replace("-f UTF-16", "-f UTF-32")
        )),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Some(format!("the text is UTF-16 by its byte order mark: {mend}"))
        }
        _ => start.iter().take(4).position(|&byte| byte == 0).map(|place| {
            format!(
                "byte {place} of the file is zero, which no text in UTF-8 has: if it is text in UTF-16, \
                {mend}"
            )
        }),
    }
}
