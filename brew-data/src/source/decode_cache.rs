//! A cache of decoded tables: small ones stay in memory, larger ones are written once to an Arrow file with a
//! checksum and mapped.
//!
//! So random access never decodes a table again, and memory is bounded however large the file is. The Arrow
//! file is named after the hash of its input; one that does not match or is damaged is rewritten.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;

use super::mapping::{Mapping, map};
use super::storage::{Disk, Storage as _};
use crate::disk::{atomically, is_whole, seal};
use crate::error::{Error, Result};
use crate::parse::ipc::decode;
use crate::parse::{Emit, ParseError};

/// Bytes of decoded tables that one opening may hold in memory.
const KEPT_BYTES: usize = 64 << 20;

/// The metadata key of a cache file's key.
const CACHE_KEY: &str = "brew.source";

/// Where decoded tables are stored.
#[derive(Debug, Clone)]
pub(crate) struct DecodeCache {
    folder: PathBuf,
    /// Bytes that may still be held in memory.
    left: Arc<AtomicUsize>,
}

/// A decoded table with random access.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) chunks: Vec<RecordBatch>,
    pub(crate) mapping: Option<Mapping>,
}

impl DecodeCache {
    /// A cache for one opening.
    pub(crate) fn new() -> Self {
        DecodeCache { folder: cache_folder(), left: Arc::new(AtomicUsize::new(KEPT_BYTES)) }
    }

    /// Stores what `read` emits. If that is too much for memory, `read` is called again from the start; `key`
    /// identifies everything its output depends on.
    ///
    /// # Errors
    /// Those of `read`, with the file's name; the cache cannot be written.
    pub(crate) fn keep(
        &self,
        path: &Path,
        schema: &SchemaRef,
        key: impl FnOnce() -> Result<String>,
        read: impl Fn(&mut Emit<'_>) -> Result<(), ParseError>,
    ) -> Result<Decoded> {
        let left = self.left.load(Ordering::Relaxed);
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        let outcome = read(&mut |batch| {
            bytes += batch.get_array_memory_size();
            chunks.push(batch);
            if bytes > left { Err(ParseError::Stopped) } else { Ok(()) }
        });
        match outcome {
            Ok(()) => {
                let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    Some(left.saturating_sub(bytes))
                });
                return Ok(Decoded { chunks, mapping: None });
            }
            Err(ParseError::Stopped) => drop(chunks),
            Err(problem) => return Err(Error::in_file(path, problem)),
        }
        let key = key()?;
        let file = self.folder.join(format!("{key}.arrow"));
        if is_whole(&file)
            && let Ok((found, kept)) = open(&file)
            && found.metadata().get(CACHE_KEY) == Some(&key)
        {
            return Ok(kept);
        }
        let metadata = HashMap::from([(CACHE_KEY.to_owned(), key)]);
        write(path, &file, &Schema::new_with_metadata(schema.fields().clone(), metadata), read)?;
        seal(&file)?;
        Ok(open(&file)?.1)
    }
}

/// Maps a cache file.
fn open(file: &Path) -> Result<(SchemaRef, Decoded)> {
    let object = Disk.open(file).map_err(Error::io(file))?;
    let (bytes, mapping) = map(object.as_ref(), file)?;
    let told = |undecoded| Error::format(file, format!("the cache {undecoded}"));
    let (schema, chunks) = decode(&bytes).map_err(told)?;
    Ok((schema, Decoded { chunks, mapping }))
}

fn write(
    path: &Path,
    file: &Path,
    schema: &Schema,
    read: impl Fn(&mut Emit<'_>) -> Result<(), ParseError>,
) -> Result<()> {
    let failed = |error| Error::format(file, format!("the cache cannot be written: {error}"));
    atomically(file, |into| {
        let mut writer = FileWriter::try_new(into, schema).map_err(failed)?;
        let mut refused = None;
        let outcome = read(&mut |batch| {
            writer.write(&batch).map_err(|error| {
                refused = Some(failed(error));
                ParseError::Stopped
            })
        });
        match (refused, outcome) {
            (Some(error), _) => Err(error),
            (None, Err(problem)) => Err(Error::in_file(path, problem)),
            (None, Ok(())) => writer.finish().map_err(failed),
        }
    })
}

/// `BREW_CACHE`, otherwise `brew` in the user's cache folder, otherwise in the folder for temporary files.
fn cache_folder() -> PathBuf {
    let set = std::env::var_os("BREW_CACHE").filter(|folder| !folder.is_empty());
    let users = || dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("brew");
    set.map_or_else(users, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::array::cast::AsArray as _;
    use arrow::datatypes::Int64Type;
    use arrow::datatypes::{DataType, Field};

    use super::*;

    /// Whatever byte of a cache file is flipped, cut off or lost with its checksum, the values are those of
    /// the source: 123456 was read as 123455.
    #[test]
    fn a_changed_byte_anywhere_in_a_cache_of_decoded_rows_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let values = || {
            // Nothing may stay in memory.
            let left = Arc::new(AtomicUsize::new(0));
            let cache = DecodeCache { folder: folder.path().to_owned(), left };
            let key = || Ok("key".to_owned());
            let kept = cache.keep(Path::new("a.csv"), &schema, key, |emit| {
                let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![123_456, -1]));
                emit(RecordBatch::try_new(schema.clone(), vec![column]).unwrap())
            });
            let kept = kept.unwrap();
            assert!(kept.mapping.is_some());
            kept.chunks[0].column(0).as_primitive::<Int64Type>().values().to_vec()
        };
        assert_eq!(values(), [123_456, -1]);
        let file = folder.path().join("key.arrow");
        let whole = std::fs::read(&file).unwrap();
        for byte in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, damaged).unwrap();
            assert_eq!(values(), [123_456, -1], "byte {byte}");
            assert_eq!(std::fs::read(&file).unwrap(), whole, "byte {byte}");
        }
        std::fs::remove_file(file.with_extension("blake3")).unwrap();
        let made = std::fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(values(), [123_456, -1]);
        assert_ne!(std::fs::metadata(&file).unwrap().modified().unwrap(), made);
    }
}
