//! Arrow IPC files and streams, mapped into memory: columns are views of the file, and nothing is copied.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::decode_cache::DecodeCache;
use super::mapping::{hash, map};
use super::storage::Object;
use super::table::Table;
use super::unpack::{unpacked, unpacked_schema};
use crate::error::{Error, Result};
use crate::parse::ParseError;
use crate::parse::ipc::{FILE_MARK, Index};

/// Maps the file; each record batch becomes a chunk. Compressed files are decoded once instead.
///
/// # Errors
/// The file cannot be opened or mapped, is truncated, or is damaged.
pub(crate) fn open(path: &Path, object: &Arc<dyn Object>, cache: &DecodeCache) -> Result<Table> {
    let (bytes, mapping) = map(object.as_ref(), path)?;
    let kind = if bytes.starts_with(FILE_MARK) { "file" } else { "stream" };
    let told = |undecoded: &dyn std::fmt::Display| format!("the Arrow IPC {kind} {undecoded}");
    let index = Index::of(&bytes).map_err(|undecoded| Error::format(path, told(&undecoded)))?;
    if !index.compressed {
        let chunks = index.views(&bytes).map_err(|undecoded| Error::format(path, told(&undecoded)))?;
        return Ok(Table::new(path, &index.schema, chunks, mapping));
    }
    let schema = unpacked_schema(&index.schema);
    let key = || hash(object, path, "arrow 1");
    let kept = cache.keep(path, &schema, key, |emit| {
        let decoded = index.decode(&bytes, |batch| emit(unpacked_batch(&schema, &batch)?));
        decoded.map_err(|problem| match problem {
            ParseError::Text(message) => ParseError::Text(told(&message)),
            other => other,
        })
    })?;
    Ok(Table::new(path, &schema, kept.chunks, kept.mapping))
}

fn unpacked_batch(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ParseError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| unpacked(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(schema.clone(), columns));
    batch.map_err(|error| ParseError::Text(error.to_string()))
}
