//! Iterates over a table as training does, and measures time and memory.

use std::path::Path;
use std::time::Instant;

use brew_core::Result;
use brew_core::prelude::*;
use brew_data::Dataset;
use clap::ValueEnum;
use serde_json::{Value, json};

use examples::Sampler;

/// The order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// As in the file.
    Sequential,
    /// Any order.
    Shuffled,
    /// Any order, with rows of similar length together.
    Bucketed,
    /// Any order inside blocks.
    Blocks,
}

/// Opens the table, iterates over it until the time is over, and reports what was measured.
///
/// The clock starts after the first batch, whose time is reported separately. Memory is sampled from the start.
pub(crate) fn measure(path: &Path, way: Way, batch: usize, workers: usize, seconds: f64) -> Result<Value> {
    let sampler = Sampler::start();
    let opened = Instant::now();
    let table = Dataset::open(path)?;
    let loader = table.batches::<TextBatch>(batch).workers(workers);
    let loader = match way {
        Way::Sequential => loader,
        Way::Shuffled => loader.shuffled(1),
        Way::Bucketed => loader.shuffled(1).bucketed(),
        Way::Blocks => loader.shuffled_in_blocks(1),
    };
    let mut started = Instant::now();
    let mut first = None;
    let (mut rows, mut tokens, mut cells) = (0_u64, 0_i64, 0_i64);
    for epoch in 0.. {
        for batch in loader.epoch(epoch)? {
            let batch = batch?;
            if first.is_none() {
                first = Some(opened.elapsed().as_secs_f64());
                started = Instant::now();
            }
            rows += batch.rows() as u64;
            cells += batch.input_ids.numel() as i64;
            // Checks every thousandth batch, so that no work can be skipped.
            if rows % 32_000 < 32 {
                tokens += batch.attention_mask.f_ne(0)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
            }
            if started.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
        if started.elapsed().as_secs_f64() > seconds {
            break;
        }
    }
    let elapsed = started.elapsed().as_secs_f64();
    let (anonymous, resident) = sampler.finish();
    Ok(json!({
        "rows": rows,
        "table_rows": table.rows(),
        "seconds": elapsed,
        "first_batch_seconds": first,
        "rows_per_second": rows as f64 / elapsed,
        "padded_length": cells as f64 / rows.max(1) as f64,
        "tokens_seen": tokens,
        "anonymous_megabytes": anonymous,
        "resident_megabytes": resident,
    }))
}
