//! Writes tables: Parquet to ship, Arrow IPC to map.
//!
//! A file never exists half-written under its own name: it is written under a temporary name, synced, and
//! renamed.

use std::path::Path;

use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Dataset;
use crate::disk::atomically;
use crate::error::{Error, Result};

/// Rows per record batch.
const CHUNK_ROWS: usize = 8192;

impl Dataset {
    /// Writes the rows in use as a Parquet file compressed with zstd.
    ///
    /// # Errors
    /// The file cannot be written, or a column cannot be read.
    pub fn write_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failed = |error| Error::format(path, format!("the Parquet file cannot be written: {error}"));
        let (schema, copies) = self.copies(&self.columns(), CHUNK_ROWS)?;
        atomically(path, |file| {
            let compression = Compression::ZSTD(ZstdLevel::try_new(9).map_err(failed)?);
            let properties = WriterProperties::builder().set_compression(compression).build();
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(failed)?;
            for chunk in copies {
                writer.write(&chunk?).map_err(failed)?;
            }
            writer.close().map(drop).map_err(failed)
        })
    }

    /// Writes the rows in use as an Arrow IPC file, which [`Dataset::open`] maps.
    ///
    /// # Errors
    /// The file cannot be written, or a column cannot be read.
    pub fn write_arrow(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failed = |error| Error::format(path, format!("the Arrow IPC file cannot be written: {error}"));
        let (schema, copies) = self.copies(&self.columns(), CHUNK_ROWS)?;
        atomically(path, |file| {
            let mut writer = FileWriter::try_new(file, &schema).map_err(failed)?;
            for chunk in copies {
                writer.write(&chunk?).map_err(failed)?;
            }
            writer.finish().map_err(failed)
        })
    }
}
