//! Which cache belongs to which texts.

use std::fmt::Debug;
use std::path::Path;

use arrow::ipc::writer::StreamWriter;

use super::tokenizer::Tokenizer;
use crate::dataset::Dataset;
use crate::disk::is_whole;
use crate::error::{Error, Result};
use crate::progress::bar;

/// The key's name in the metadata of a cache file.
pub(super) const CACHE_KEY: &str = "brew.tokens";

/// Raised when the same input would give another file.
const VERSION: u32 = 3;

/// Rows hashed at once; part of what is hashed.
const CHUNK_ROWS: usize = 4096;

/// The hash of everything that a cache is made of: the texts and carried values of these columns, tokenizer,
/// settings.
pub(super) fn key_of(
    dataset: &Dataset,
    columns: &[&str],
    tokenizer: &Tokenizer,
    settings: &impl Debug,
) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tokenizer.hash().as_bytes());
    hasher.update(format!("{VERSION} {settings:?}").as_bytes());
    let failed = |error| Error::format(dataset.path(), error);
    // The bytes of an Arrow stream: names, types, metadata and values, told apart from each other.
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

/// The cache at this path if it is whole, unchanged, and made for this key.
pub(super) fn cached(path: &Path, key: &str) -> Option<Dataset> {
    is_whole(path).then_some(())?;
    let dataset = Dataset::open(path).ok()?;
    (dataset.schema().metadata().get(CACHE_KEY).map(String::as_str) == Some(key)).then_some(dataset)
}
