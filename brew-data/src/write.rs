//! Tables to disk: Parquet to ship, Arrow IPC to map.
//!
//! Nothing is ever half-written under its own name: a file is written beside its place, synced, and
//! renamed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// Rows a record batch or a write.
const CHUNK_ROWS: usize = 8192;

impl Dataset {
    /// Writes the rows in use as a Parquet file compressed with zstd.
    ///
    /// # Errors
    /// A file that cannot be written.
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
    /// A file that cannot be written.
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

/// Writes a file under a temporary name, syncs it, and renames it to its own.
///
/// The folder is made where it is missing. What was there before stays until the new file is whole.
pub(crate) fn atomically(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two processes, or two threads of one, may make the same file at the same time.
    let owner = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let temporary = folder.join(format!(".{name}.{}.tmp", owner.replace(['(', ')'], "")));
    let outcome = File::create(&temporary).map_err(Error::io(&temporary)).and_then(|file| {
        let mut buffered = BufWriter::new(&file);
        write(&mut buffered)?;
        buffered.flush().map_err(Error::io(&temporary))?;
        drop(buffered);
        file.sync_all().map_err(Error::io(&temporary))?;
        std::fs::rename(&temporary, path).map_err(Error::io(path))
    });
    if outcome.is_err() {
        // The first error is the one to tell; a leftover file harms nobody.
        let _ = std::fs::remove_file(&temporary);
    }
    outcome
}
