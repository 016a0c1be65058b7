//! Synthetic token ids from a formula: a table of any size, the same every time.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow::array::builder::{Int32Builder, ListBuilder};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::FileWriter;
use brew_core::{Error, Result, disk};

/// Tokens written at once, about.
const CHUNK_TOKENS: u64 = 1 << 20;

/// Record batches with token ids, a mask of ones, and a label of 0 or 1; `length` gives the tokens of a row, at most
/// `longest`.
pub fn token_chunks(
    rows: u64,
    longest: u64,
    length: impl Fn(u64) -> u64,
) -> impl Iterator<Item = Result<RecordBatch>> {
    let chunk_rows = (CHUNK_TOKENS / longest).max(1);
    let firsts = (0..rows).step_by(chunk_rows as usize);
    firsts.map(move |first| chunk(first, rows.min(first + chunk_rows), longest, &length))
}

/// Writes the record batches of [`token_chunks`] one by one to an Arrow IPC file.
pub fn write_token_chunks(path: &Path, chunks: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
    let failed = |error| Error::file(path, format!("the table cannot be written: {error}"));
    let refused = |path: &Path, error| Error::file(path, error);
    disk::write_with(path, refused, |file: &mut BufWriter<&File>| {
        let mut writer = FileWriter::try_new(file, &schema()).map_err(failed)?;
        for chunk in chunks {
            writer.write(&chunk?).map_err(failed)?;
        }
        writer.finish().map_err(failed)
    })
}

fn schema() -> Arc<Schema> {
    let list = || DataType::new_list(DataType::Int32, true);
    Arc::new(Schema::new(vec![
        Field::new("input_ids", list(), false),
        Field::new("attention_mask", list(), false),
        Field::new("labels", DataType::Int64, false),
    ]))
}

fn chunk(first: u64, end: u64, longest: u64, length: &impl Fn(u64) -> u64) -> Result<RecordBatch> {
    let mut ids = ListBuilder::new(Int32Builder::new());
    let mut masks = ListBuilder::new(Int32Builder::new());
    for row in first..end {
        let length = length(row);
        ids.append_value((0..length).map(|token| Some((mixed(row * longest + token) % 30_000) as i32)));
        masks.append_value((0..length).map(|_| Some(1)));
    }
    let labels = Int64Array::from_iter_values((first..end).map(|row| (mixed(row) % 2) as i64));
    let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(masks.finish()), Arc::new(labels)];
    RecordBatch::try_new(schema(), columns).map_err(Error::other)
}

/// The finalizer of SplitMix64: the generator's draw of this number, from seed 0.
pub fn mixed(value: u64) -> u64 {
    let mut state = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
