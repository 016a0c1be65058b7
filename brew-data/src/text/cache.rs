//! Which cache belongs to which texts.

use std::path::Path;

use arrow_ipc::writer::StreamWriter;

use super::tokenize::Tokenize;
use super::tokenizer::Tokenizer;
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// The key's name in the metadata of a cache file.
pub(super) const CACHE_KEY: &str = "brew.tokens";

/// Raised when the same input would give another file.
const VERSION: u32 = 1;

/// Rows hashed at once; part of what is hashed.
const CHUNK_ROWS: usize = 4096;

/// The hash of everything that a cache is made of: texts, carried columns, tokenizer, settings.
pub(super) fn key_of(dataset: &Dataset, tokenizer: &Tokenizer, settings: &Tokenize) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tokenizer.hash().as_bytes());
    hasher.update(format!("{VERSION} {settings:?}").as_bytes());
    let columns: Vec<&str> =
        [&settings.text].into_iter().chain(&settings.carried).map(String::as_str).collect();
    let failed = |error| Error::format(dataset.path(), error);
    // The bytes of an Arrow stream: names, types and values, told apart from each other.
    let (schema, copies) = dataset.copies(&columns, CHUNK_ROWS)?;
    let mut writer = StreamWriter::try_new(&mut hasher, &schema).map_err(failed)?;
    for chunk in copies {
        writer.write(&chunk?).map_err(failed)?;
    }
    drop(writer);
    Ok(hasher.finalize().to_hex().to_string())
}

/// The cache at this path if it is whole and made for this key.
pub(super) fn cached(path: &Path, key: &str) -> Option<Dataset> {
    let dataset = path.is_file().then(|| Dataset::open(path).ok())??;
    (dataset.schema().metadata().get(CACHE_KEY).map(String::as_str) == Some(key)).then_some(dataset)
}
