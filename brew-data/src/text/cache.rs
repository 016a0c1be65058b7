//! The key of a token cache, and the cache for a key.

use std::fmt::Debug;
use std::path::Path;

use arrow::ipc::writer::StreamWriter;

use crate::dataset::Dataset;
use crate::disk::{is_whole, seal};
use crate::error::{Error, Result};
use crate::progress::bar;

/// The metadata key of a cache file's key.
pub(super) const CACHE_KEY: &str = "brew.tokens";

/// Increased when the same input would give a different file.
const VERSION: u32 = 4;

/// Rows hashed at once; this affects the hash.
const CHUNK_ROWS: usize = 4096;

/// The hash of everything a cache depends on: the values of these columns, the hash of the tokenizer if one is used, and
/// the settings.
pub(super) fn key_of(
    dataset: &Dataset,
    columns: &[&str],
    tokenizer: &[u8],
    settings: &impl Debug,
) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tokenizer);
    hasher.update(format!("{VERSION} {settings:?}").as_bytes());
    let failed = |error| Error::format(dataset.path(), error);
    // Hashes an Arrow stream, which delimits names, types, metadata, and values.
    let (schema, copies) = dataset.copies(columns, CHUNK_ROWS)?;
    let mut writer = StreamWriter::try_new(&mut hasher, &schema).map_err(failed)?;
    let progress = bar("reading", dataset.rows() as u64);
    for chunk in copies {
        let chunk = chunk?;
        writer.write(&chunk).map_err(failed)?;
        progress.inc(chunk.num_rows() as u64);
    }
    progress.finish_and_clear();
    drop(writer);
    Ok(hasher.finalize().to_hex().to_string())
}

/// The cache at this path for this key; `write` makes it if it is missing, damaged, or another's.
pub(super) fn cached_or(path: &Path, key: &str, write: impl FnOnce() -> Result<()>) -> Result<Dataset> {
    if let Some(known) = cached(path, key) {
        return Ok(known);
    }
    write()?;
    seal(path)?;
    Dataset::open(path)
}

/// The cache at this path, if it is complete, unchanged, and made for this key.
fn cached(path: &Path, key: &str) -> Option<Dataset> {
    is_whole(path).then_some(())?;
    let dataset = Dataset::open(path).ok()?;
    (dataset.schema().metadata().get(CACHE_KEY).map(String::as_str) == Some(key)).then_some(dataset)
}
