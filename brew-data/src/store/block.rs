//! A block on disk: an Arrow IPC file named after the hash of its bytes.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::writer::FileWriter;
use brew_core::cache::{Row, RowKey, RowPart, dtype};
use brew_core::tch::Kind;

use crate::error::{Error, Result};
use crate::parse::store::block as rows;
use crate::parse::store::keys::{self, Key};
use crate::source::mapping::map;
use crate::source::storage::{Disk, Storage as _};

/// A block on disk whose rows have not been read.
#[derive(Debug, Clone)]
pub(super) struct BlockFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    keys: Vec<Key>,
}

impl BlockFile {
    /// Writes a block: first the rows, then their keys, which make it valid.
    pub(super) fn write(folder: &Path, rows: &RecordBatch, keys: Vec<RowKey>) -> Result<Self> {
        let failed =
            |error| Error::format(folder, format!("a block of the teacher cache cannot be written: {error}"));
        let mut writer = FileWriter::try_new(Vec::new(), &rows.schema()).map_err(failed)?;
        writer.write(rows).map_err(failed)?;
        writer.finish().map_err(failed)?;
        let bytes = writer.into_inner().map_err(failed)?;
        let path = folder.join(format!("{}.arrow", blake3::hash(&bytes).to_hex()));
        put(&path, &bytes)?;
        let keys = keys.into_iter().map(|key| key.0).collect();
        let block = BlockFile { path, bytes: bytes.len() as u64, keys };
        block.write_keys()?;
        Ok(block)
    }

    /// The keys of its rows.
    pub(super) fn keys(&self) -> impl Iterator<Item = RowKey> {
        self.keys.iter().map(|key| RowKey(*key))
    }

    fn write_keys(&self) -> Result<()> {
        put(&self.path.with_extension("keys"), &keys::write(self.bytes, &self.keys))
    }

    /// The block for a file of keys.
    ///
    /// # Errors
    /// The keys are damaged; the block is missing or has another length.
    pub(super) fn find(keys_path: &Path) -> Result<Self> {
        let path = keys_path.with_extension("arrow");
        let size = |path: &Path| Ok(std::fs::metadata(path).map_err(Error::io(path))?.len());
        let found = size(&path)?;
        let keys = match keys::can_be(size(keys_path)?, found) {
            true => keys::read(&std::fs::read(keys_path).map_err(Error::io(keys_path))?),
            false => None,
        };
        let (length, keys) = keys.ok_or_else(|| {
            Error::format(keys_path, "the keys of this block are corrupt (their checksum does not match)")
        })?;
        if found != length {
            return Err(Error::format(
                &path,
                format!(
                    "this block of {} rows is corrupt: it has {found} bytes, and was written with {length}",
                    keys.len()
                ),
            ));
        }
        Ok(BlockFile { path, bytes: length, keys })
    }

    /// Recovers a block whose keys a killed writer did not write.
    ///
    /// # Errors
    /// Those of [`BlockFile::open`].
    pub(super) fn adopt(path: &Path) -> Result<Self> {
        let opened = OpenBlock::read(path)?;
        let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
        let block = BlockFile { path: path.to_owned(), bytes, keys: opened.block.keys };
        block.write_keys()?;
        Ok(block)
    }

    /// Checks the bytes and maps the rows.
    ///
    /// # Errors
    /// A byte has changed, by file.
    pub(super) fn open(&self) -> Result<OpenBlock> {
        let opened = OpenBlock::read(&self.path)?;
        if opened.block.keys != self.keys {
            return Err(corrupt(&self.path, "its rows are not those of its keys"));
        }
        Ok(opened)
    }

    /// Sets the block aside, so that nobody reads it again.
    pub(super) fn discard(&self) {
        // If this fails, the next reader does the same.
        let _ = std::fs::remove_file(self.path.with_extension("keys"));
        let _ = std::fs::rename(&self.path, self.path.with_extension("corrupt"));
    }
}

/// Writes a file whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    crate::disk::atomically(path, |file| std::io::Write::write_all(file, bytes).map_err(Error::io(path)))
}

/// A block with readable rows.
#[derive(Debug)]
pub(super) struct OpenBlock {
    block: rows::Block,
    /// For each column, the stored dtype and the teacher's.
    kinds: Vec<(Kind, Kind)>,
}

impl OpenBlock {
    fn read(path: &Path) -> Result<Self> {
        let object = Disk.open(path).map_err(Error::io(path))?;
        let (file, _) = map(object.as_ref(), path)?;
        let hash = blake3::hash(&file).to_hex();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name != hash.as_str() {
            return Err(corrupt(
                path,
                &format!("its checksum is {}, not the one it is named after", &hash.as_str()[..16]),
            ));
        }
        let width = |name: &str| dtype::named(name).map(|kind| kind.elt_size_in_bytes());
        let block = rows::Block::read(&file, width).map_err(|message| corrupt(path, &message))?;
        let kinds = block
            .columns
            .iter()
            .map(|column| Some((dtype::named(&column.dtype)?, dtype::named(&column.given)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| corrupt(path, "a column has an unknown dtype"))?;
        Ok(OpenBlock { block, kinds })
    }

    /// The row at this index, which comes from the block's own keys.
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let parts = self.block.columns.iter().zip(&self.kinds).map(|(column, (kind, given))| RowPart {
            name: Cow::Borrowed(column.name.as_str()),
            kind: *kind,
            given: *given,
            shape: column.shape(row),
            cut: Cow::Borrowed(column.cut.as_slice()),
            bytes: Cow::Borrowed(column.bytes(row)),
        });
        let (tokens, length) = self.block.extent(row);
        Row { tokens, length, parts: parts.collect() }
    }
}

fn corrupt(path: &Path, message: &str) -> Error {
    Error::format(
        path,
        format!("this block of the teacher cache is corrupt: {message}; its rows will be recomputed"),
    )
}
