//! Synthetic token ids: lengths and ids as a tokenised corpus has them, out of a formula.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use brew_core::{Error, Result, disk};
use brew_data::Dataset;

/// Rows written at once.
const CHUNK_ROWS: u64 = 8192;

/// Tokens of the longest row.
pub(crate) const LONGEST: u64 = 128;

/// Bytes of a row, about: two lists of 4 bytes a token, their offsets, and a label.
const ROW_BYTES: u64 = 8 * MEAN_LENGTH + 16;

/// The mean of `length`.
const MEAN_LENGTH: u64 = 47;

/// Writes the table and returns its rows.
pub(crate) fn table(path: &Path, megabytes: u64) -> Result<u64> {
    let rows = (megabytes * 1_000_000 / ROW_BYTES).max(1);
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let chunks = chunks(rows).collect::<Result<Vec<_>>>()?;
        Dataset::from_record_batches(path, chunks)?.write_parquet(path)?;
        return Ok(rows);
    }
    let failed = |error| Error::file(path, format!("the table cannot be written: {error}"));
    let refused = |path: &Path, error| Error::file(path, error);
    disk::write_with(path, refused, |file: &mut BufWriter<&File>| {
        let mut writer = FileWriter::try_new(file, &schema()).map_err(failed)?;
        for chunk in chunks(rows) {
            writer.write(&chunk?).map_err(failed)?;
        }
        writer.finish().map_err(failed)
    })?;
    Ok(rows)
}

fn schema() -> Arc<Schema> {
    let list = || DataType::new_list(DataType::Int32, true);
    Arc::new(Schema::new(vec![
        Field::new("input_ids", list(), false),
        Field::new("attention_mask", list(), false),
        Field::new("labels", DataType::Int64, false),
    ]))
}

fn chunks(rows: u64) -> impl Iterator<Item = Result<RecordBatch>> {
    (0..rows).step_by(CHUNK_ROWS as usize).map(move |first| chunk(first, rows.min(first + CHUNK_ROWS)))
}

fn chunk(first: u64, end: u64) -> Result<RecordBatch> {
    let mut ids = ListBuilder::new(Int32Builder::new());
    let mut masks = ListBuilder::new(Int32Builder::new());
    for row in first..end {
        let length = length(row);
        ids.append_value((0..length).map(|token| Some((mixed(row * LONGEST + token) % 30_000) as i32)));
        masks.append_value((0..length).map(|_| Some(1)));
    }
    let labels = Int64Array::from_iter_values((first..end).map(|row| (mixed(row) % 2) as i64));
    let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(masks.finish()), Arc::new(labels)];
    RecordBatch::try_new(schema(), columns).map_err(Error::other)
}

/// From 8 to 128 tokens, short rows more often: 8 + 120 u^2 has the mean 48 for uniform u.
pub(crate) fn length(row: u64) -> u64 {
    let uniform = (mixed(row ^ 0x5bd1_e995) >> 11) as f64 / (1_u64 << 53) as f64;
    8 + (uniform * uniform * (LONGEST - 8) as f64) as u64
}

/// The finalizer of SplitMix64.
pub(crate) fn mixed(value: u64) -> u64 {
    let mut state = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
