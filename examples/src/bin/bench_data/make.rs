//! Synthetic token ids with the lengths of a tokenised corpus.

use std::path::Path;

use brew_core::Result;
use brew_data::Dataset;
use examples::{mixed, token_chunks, write_token_chunks};

/// Tokens of the longest row.
pub(crate) const LONGEST: u64 = 128;

/// Bytes of a row, about: two lists of 4 bytes per token, their offsets, and a label.
const ROW_BYTES: u64 = 8 * MEAN_LENGTH + 16;

/// The mean of `length`.
const MEAN_LENGTH: u64 = 47;

/// Writes the table and returns its rows.
pub(crate) fn table(path: &Path, megabytes: u64) -> Result<u64> {
    let rows = (megabytes * 1_000_000 / ROW_BYTES).max(1);
    let chunks = token_chunks(rows, LONGEST, length);
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let chunks = chunks.collect::<Result<Vec<_>>>()?;
        Dataset::from_record_batches(path, chunks)?.write_parquet(path)?;
    } else {
        write_token_chunks(path, chunks)?;
    }
    Ok(rows)
}

/// From 8 to 128 tokens, short rows more often: 8 + 120 u^2 has the mean 48 for uniform u.
pub(crate) fn length(row: u64) -> u64 {
    let uniform = (mixed(row ^ 0x5bd1_e995) >> 11) as f64 / (1_u64 << 53) as f64;
    8 + (uniform * uniform * (LONGEST - 8) as f64) as u64
}
