//! Parquet files, decoded into memory.

use std::fs::File;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, Result};

/// Rows decoded at once.
const CHUNK_ROWS: usize = 8192;

/// Reads every column of every row group.
///
/// # Errors
/// A file that cannot be opened, is cut short, or is damaged.
pub(crate) fn read(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let file = File::open(path).map_err(Error::io(path))?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::format(path, format!("the Parquet file is damaged or cut short: {error}"))
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
    let schema = builder.schema().clone();
    let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(|error| unreadable(&error))?;
    let chunks = reader.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
    Ok((schema, chunks))
}
