//! Tells what a file is: by its first bytes, whatever its name, otherwise by its extension.

use std::path::Path;
use std::sync::Arc;

use super::format::{Format, TEXT_FORMATS, extension};
use super::storage::Object;
use super::text::{self, GZIP_MARK, ZSTD_MARK};
use super::{foreign, parquet};
use crate::error::{Error, Result};
use crate::parse::ipc::{FILE_MARK, STREAM_MARK};
use crate::parse::squad_keys;

/// The kinds of files brew reads.
#[derive(Debug, Clone)]
pub(crate) enum FileKind {
    /// Parquet; columns are decoded one at a time.
    Parquet,
    /// An Arrow IPC file or stream; mapped, not read.
    Arrow,
    /// Text; parsed.
    Text(Format),
}

/// The extensions of files that begin with a mark.
const MARKED: [&str; 4] = ["parquet", "arrow", "feather", "ipc"];

/// The readable kinds, for error messages.
fn readable() -> String {
    let marked = ["Parquet", "Arrow IPC files and streams"];
    let shown: Vec<&str> = marked.into_iter().chain(TEXT_FORMATS.iter().map(|known| known.shown)).collect();
    let (last, others) = shown.split_last().unwrap_or((&"", &[]));
    format!("{} and {last}; text also packed (.gz, .zst)", others.join(", "))
}

impl FileKind {
    /// Determines what a file is.
    ///
    /// # Errors
    /// The file is empty, is not what its name says, or has a kind that brew does not read.
    pub(crate) fn of(path: &Path, object: &Arc<dyn Object>) -> Result<Self> {
        let mark = object.range(0..object.length().min(foreign::LENGTH)).map_err(Error::io(path))?;
        let extension = extension(path);
        if mark.is_empty() {
            return Err(Error::format(path, "the file is empty"));
        }
        if let Some(is) = foreign::named(&mark) {
            return Err(Error::format(path, format!("the file is {is}")));
        }
        if mark.starts_with(parquet::MARK) {
            return Ok(FileKind::Parquet);
        }
        if mark.starts_with(FILE_MARK) || mark.starts_with(STREAM_MARK) {
            return Ok(FileKind::Arrow);
        }
        let packed = mark.starts_with(GZIP_MARK) || mark.starts_with(ZSTD_MARK);
        Ok(FileKind::Text(match extension.as_str() {
            "parquet" | "arrow" | "feather" | "ipc" if packed => {
                let message = format!("a packed .{extension} file cannot be read: decompress it first");
                return Err(Error::format(path, message));
            }
            "parquet" => {
                return Err(Error::format(path, "not a Parquet file: it does not begin with `PAR1`"));
            }
            "arrow" | "feather" | "ipc" => {
                return Err(Error::format(
                    path,
                    "not an Arrow IPC file: it begins neither with `ARROW1` nor as a stream does",
                ));
            }
            "json" if is_squad(path, object)? => Format::Squad,
            other => Format::of_extension(other).ok_or_else(|| {
                let readable = readable();
                let message =
                    format!("files with extension `.{other}` are not supported; supported are: {readable}");
                Error::format(path, message)
            })?,
        }))
    }

    /// Whether the name alone marks a file as data; decides which files of a folder are read.
    pub(crate) fn is_named(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = name.starts_with(['.', '_']);
        // Files in which Python's `datasets` and the Hub describe the data beside them.
        let about = matches!(
            &*name,
            "state.json" | "dataset_info.json" | "dataset_infos.json" | "dataset_dict.json" | "config.json"
        );
        let extension = extension(path);
        let named = |extensions: &[&str]| extensions.contains(&extension.as_str());
        let known = named(&MARKED) || TEXT_FORMATS.iter().any(|format| named(format.extensions));
        known && !hidden && !about
    }

    /// The kind's name, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            FileKind::Parquet => "Parquet",
            FileKind::Arrow => "Arrow IPC",
            FileKind::Text(format) => format.name(),
        }
    }
}

/// Whether a `.json` file has SQuAD's keys.
fn is_squad(path: &Path, object: &Arc<dyn Object>) -> Result<bool> {
    text::read(path, object, "opening", |reader| squad_keys::has_its_keys(reader))
        .map_err(|problem| Error::in_file(path, problem))
}
