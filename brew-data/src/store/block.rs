//! A block: one Arrow IPC file, named after the hash of its bytes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{LargeBinaryArray, ListArray, RecordBatch, UInt32Array};
use arrow_ipc::writer::FileWriter;
use brew_core::cache::{Part, Row, RowKey, dtype};
use brew_core::tch::Kind;

use super::keys;
use crate::error::{Error, Result};
use crate::source::arrow::{decode, map};

/// A block on disk, whose rows have not been looked at.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) keys: Vec<RowKey>,
}

impl Block {
    /// Writes rows as a block: first the rows, then their keys, which make it one.
    pub(super) fn write(folder: &Path, rows: &RecordBatch, keys: Vec<RowKey>) -> Result<Self> {
        let failed =
            |error| Error::format(folder, format!("a block of the teacher cache cannot be written: {error}"));
        let mut writer = FileWriter::try_new(Vec::new(), &rows.schema()).map_err(failed)?;
        writer.write(rows).map_err(failed)?;
        writer.finish().map_err(failed)?;
        let bytes = writer.into_inner().map_err(failed)?;
        let path = folder.join(format!("{}.arrow", blake3::hash(&bytes).to_hex()));
        put(&path, &bytes)?;
        let block = Block { path, bytes: bytes.len() as u64, keys };
        block.write_keys()?;
        Ok(block)
    }

    fn write_keys(&self) -> Result<()> {
        put(&self.path.with_extension("keys"), &keys::write(self.bytes, &self.keys))
    }

    /// The block of a file of keys.
    ///
    /// # Errors
    /// Keys that are damaged; a block that is not there, or has another length.
    pub(super) fn find(keys_path: &Path) -> Result<Self> {
        let path = keys_path.with_extension("arrow");
        let bytes = std::fs::read(keys_path).map_err(Error::io(keys_path))?;
        let (length, keys) = keys::read(&bytes).ok_or_else(|| {
            Error::format(keys_path, "the keys of this block are corrupt (their checksum does not match)")
        })?;
        let found = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        if found != length {
            return Err(Error::format(
                &path,
                format!(
                    "this block of {} rows is corrupt: it has {found} bytes, and was written with {length}",
                    keys.len()
                ),
            ));
        }
        Ok(Block { path, bytes: length, keys })
    }

    /// The block of a file whose keys a killed writer did not write any more.
    ///
    /// # Errors
    /// Those of [`Block::open`].
    pub(super) fn adopt(path: &Path) -> Result<Self> {
        let opened = Opened::read(path)?;
        let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
        let block = Block { path: path.to_owned(), bytes, keys: opened.keys };
        block.write_keys()?;
        Ok(block)
    }

    /// Checks the bytes and maps the rows.
    ///
    /// # Errors
    /// A byte that is not as it was written, by file.
    pub(super) fn open(&self) -> Result<Opened> {
        let opened = Opened::read(&self.path)?;
        if opened.keys != self.keys {
            return Err(corrupt(&self.path, "its rows are not those of its keys"));
        }
        Ok(opened)
    }

    /// Puts the block aside, so that nobody reads it again.
    pub(super) fn discard(&self) {
        // Where that is refused the next reader finds the same and does the same.
        let _ = std::fs::remove_file(self.path.with_extension("keys"));
        let _ = std::fs::rename(&self.path, self.path.with_extension("corrupt"));
    }
}

/// Writes a file whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::write::atomically(path, |file| std::io::Write::write_all(file, bytes).map_err(Error::io(path)))
}

/// A block whose rows can be read.
#[derive(Debug)]
pub(super) struct Opened {
    keys: Vec<RowKey>,
    tokens: UInt32Array,
    lengths: UInt32Array,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
    given: Kind,
    cut: Vec<usize>,
    values: LargeBinaryArray,
    shapes: ListArray,
}

impl Opened {
    fn read(path: &Path) -> Result<Self> {
        let file = map(path)?;
        let hash = blake3::hash(&file).to_hex();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name != hash.as_str() {
            return Err(corrupt(
                path,
                &format!("its checksum is {}, not the one it is named after", &hash.as_str()[..16]),
            ));
        }
        let (_, batches) = decode(&file).map_err(|message| corrupt(path, &message))?;
        let [batch] = batches.as_slice() else { return Err(corrupt(path, "it is not one record batch")) };
        Self::of(batch).ok_or_else(|| corrupt(path, "its columns are not those of a teacher cache"))
    }

    fn of(batch: &RecordBatch) -> Option<Self> {
        let number = |name| Some(batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>()?.clone());
        let names = batch.column_by_name("key")?.as_fixed_size_binary_opt()?;
        let keys = names.iter().map(|key| Some(RowKey(key?.try_into().ok()?))).collect::<Option<_>>()?;
        let column = |name: &str| {
            let schema = batch.schema();
            let metadata = schema.field_with_name(name).ok()?.metadata().clone();
            let kind = |key: &str| dtype::named(metadata.get(key)?);
            let cut = metadata.get("cut")?.split(',').filter(|text| !text.is_empty());
            let shapes = batch.column_by_name(&format!("{name}.shape"))?.as_list_opt::<i32>()?;
            shapes.values().as_primitive_opt::<UInt32Type>()?;
            Some(Column {
                name: name.to_owned(),
                kind: kind("dtype")?,
                given: kind("given")?,
                cut: cut.map(|text| text.parse().ok()).collect::<Option<_>>()?,
                values: batch.column_by_name(name)?.as_binary_opt::<i64>()?.clone(),
                shapes: shapes.clone(),
            })
        };
        let schema = batch.schema();
        let names = schema
            .fields()
            .iter()
            .map(|field| field.name())
            .filter(|name| name.contains('/') && !name.ends_with(".shape"));
        let columns = names.map(|name| column(name)).collect::<Option<_>>()?;
        Some(Opened { keys, tokens: number("tokens")?, lengths: number("length")?, columns })
    }

    /// The row at this place; the place comes from the block's own keys.
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let parts = self.columns.iter().map(|column| {
            let offsets = column.shapes.value_offsets();
            let sizes = column.shapes.values().as_primitive::<UInt32Type>().values();
            let sizes = &sizes[offsets[row] as usize..offsets[row + 1] as usize];
            Part {
                name: Cow::Borrowed(column.name.as_str()),
                kind: column.kind,
                given: column.given,
                shape: sizes.iter().map(|size| *size as usize).collect(),
                cut: Cow::Borrowed(column.cut.as_slice()),
                bytes: Cow::Borrowed(column.values.value(row)),
            }
        });
        Row {
            tokens: self.tokens.value(row) as usize,
            length: self.lengths.value(row) as usize,
            parts: parts.collect(),
        }
    }
}

fn corrupt(path: &Path, message: &str) -> Error {
    Error::format(
        path,
        format!("this block of the teacher cache is corrupt: {message}; its rows are computed again"),
    )
}
