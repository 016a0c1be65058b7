//! The teacher store: the cost of storing the rows of a first epoch, and of looking up batches.
//!
//! Rows have the lengths of `make`. They repeat the values of a few rows: the values do not matter to the store, and
//! computing new ones would cost more than storing them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use brew_core::cache::{
    CachedRows, Card, KeptFeature, Payload, Recalled, Row, RowKey, RowPart, TeacherCache,
};
use brew_core::prelude::*;
use brew_core::{Error, Result};
use brew_data::TeacherStore;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::make::{LONGEST, length};
use examples::{Sampler, mixed};

/// Hidden states: embeddings and three layers, as matched by a student of three layers.
const LAYERS: [i64; 4] = [0, 2, 4, 6];

/// Their width.
const WIDTH: usize = 384;

/// Logits stored per token.
const TOP: usize = 8;

/// What is stored from a teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kept {
    /// Two logits, and four hidden states of width 384 in float32.
    Float32,
    /// The same, in bfloat16.
    Bfloat16,
    /// The eight greatest logits of each token in float32.
    TopLogits,
}

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Turn {
    /// Writes them into an empty folder, batch by batch.
    Write,
    /// Reads each row once, in the order of writing.
    Sequential,
    /// Reads each row twice, in random orders; the second time, the blocks have already been checked.
    Shuffled,
}

impl Kept {
    fn kind(self) -> Kind {
        if self == Kept::Bfloat16 { Kind::BFloat16 } else { Kind::Float }
    }

    fn keeps(self) -> Vec<KeptFeature> {
        let logits = KeptFeature { role: "logits".to_owned(), layer: None, padding: self != Kept::TopLogits };
        let hidden = |layer| KeptFeature { role: "hidden".to_owned(), layer: Some(layer), padding: false };
        match self {
            Kept::TopLogits => vec![logits],
            _ => [logits].into_iter().chain(LAYERS.map(hidden)).collect(),
        }
    }

    /// Name, stored dtype, returned dtype, sizes, and whether the first size is the number of tokens.
    fn parts(self, tokens: usize) -> Vec<(String, Kind, Kind, Vec<usize>, bool)> {
        let kind = self.kind();
        match self {
            Kept::TopLogits => vec![
                ("logits/0".to_owned(), Kind::Int, Kind::Int64, vec![tokens, TOP], true),
                ("logits/1".to_owned(), kind, Kind::Float, vec![tokens, TOP], true),
                ("logits/2".to_owned(), kind, Kind::Float, vec![tokens], true),
            ],
            _ => {
                let hidden =
                    |layer| (format!("hidden/{layer}"), kind, Kind::Float, vec![tokens, WIDTH], true);
                let logits = ("logits/0".to_owned(), kind, Kind::Float, vec![2], false);
                [logits].into_iter().chain(LAYERS.map(hidden)).collect()
            }
        }
    }

    fn card(self) -> Card {
        Card {
            weights: "synthetic".to_owned(),
            precision: "Float".to_owned(),
            adaptor: "bench_data".to_owned(),
            inputs: vec!["input_ids Int64 (list)".to_owned()],
            payload: self.payload(),
            keeps: self.keeps().into_iter().collect(),
            ..Card::default()
        }
    }

    fn payload(self) -> Payload {
        match self {
            Kept::Float32 => Payload::whole(),
            Kept::Bfloat16 => Payload::whole().floats_as(Kind::BFloat16),
            Kept::TopLogits => Payload::whole().top_logits(TOP),
        }
    }

    fn open(self, folder: &Path) -> Result<Arc<dyn CachedRows>> {
        TeacherStore::at(folder).keeping(self.payload()).open("", &self.card())
    }

    /// A row whose values start somewhere in `values`.
    fn row(self, number: u64, values: &[u8]) -> Row<'_> {
        let tokens = length(number) as usize;
        let parts = self.parts(tokens).into_iter().map(|(name, kind, given, shape, is_cut)| {
            let bytes = shape.iter().product::<usize>() * kind.elt_size_in_bytes();
            let start = start(number);
            RowPart {
                name: Cow::Owned(name),
                kind,
                given,
                shape,
                cut: Cow::Borrowed(if is_cut { &[0] } else { &[] }),
                bytes: Cow::Borrowed(&values[start..start + bytes]),
            }
        });
        Row { tokens, length: LONGEST as usize, parts: parts.collect() }
    }
}

/// Bytes from which rows take their values.
fn values() -> Vec<u8> {
    let longest = LONGEST as usize * WIDTH * 4 + 8 * 256;
    // Small positive numbers in float32 and in bfloat16 alike.
    (0..longest as u64 / 2)
        .flat_map(|place| [mixed(place) as u8, 0x3c + (mixed(place) >> 63) as u8])
        .collect()
}

/// Where a row's bytes start, so that no two neighbours are equal.
fn start(row: u64) -> usize {
    8 * (row % 256) as usize
}

fn key(row: u64) -> RowKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed(row).to_le_bytes());
    key[8..].copy_from_slice(&row.to_le_bytes());
    RowKey(key)
}

/// Writes or reads this many rows, and reports what was measured.
pub(crate) fn measure(folder: &Path, kept: Kept, turn: Turn, rows: u64, batch: usize) -> Result<Value> {
    let sampler = Sampler::start();
    let measured = match turn {
        Turn::Write => write(folder, kept, rows, batch)?,
        Turn::Sequential => vec![read(&*kept.open(folder)?, kept, &(0..rows).collect::<Vec<_>>(), batch)?],
        Turn::Shuffled => {
            let store = kept.open(folder)?;
            (0..2).map(|epoch| read(&*store, kept, &shuffled(rows, epoch), batch)).collect::<Result<_>>()?
        }
    };
    let size = kept.open(folder)?.size();
    let (anonymous, resident) = sampler.finish();
    let of_values = (0..rows).map(|row| kept.row(row, &values()).size() as u64).sum::<u64>() as f64;
    let passes = measured.iter().map(|seconds| {
        json!({
            "rows_per_second": rows as f64 / seconds,
            "megabytes_per_second": of_values / 1e6 / seconds,
            "milliseconds_a_batch": 1e3 * seconds / (rows as f64 / batch as f64),
        })
    });
    Ok(json!({
        "passes": passes.collect::<Vec<_>>(),
        "rows": size.rows,
        "bytes_a_row": size.bytes as f64 / size.rows.max(1) as f64,
        "bytes_of_values_a_row": of_values / rows as f64,
        "anonymous_megabytes": anonymous,
        "resident_megabytes": resident,
    }))
}

fn shuffled(rows: u64, epoch: u64) -> Vec<u64> {
    // As many rows as a benchmark writes are far fewer than 2^32.
    brew_data::epoch_order(rows as u32, 1, epoch).into_iter().map(u64::from).collect()
}

/// Seconds until the last row is on disk.
fn write(folder: &Path, kept: Kept, rows: u64, batch: usize) -> Result<Vec<f64>> {
    let values = values();
    let store = kept.open(folder)?;
    if store.size().rows > 0 {
        return Err(Error::file(folder, "there are rows already: give a new folder"));
    }
    let started = Instant::now();
    for first in (0..rows).step_by(batch) {
        let numbers = first..rows.min(first + batch as u64);
        store.add(&mut numbers.map(|row| (key(row), kept.row(row, &values))))?;
    }
    store.flush()?;
    Ok(vec![started.elapsed().as_secs_f64()])
}

/// Seconds to make batches of these rows as training does: padded tensors in the teacher's dtype.
fn read(store: &dyn CachedRows, kept: Kept, numbers: &[u64], batch: usize) -> Result<f64> {
    let (values, keeps) = (values(), kept.keeps());
    let started = Instant::now();
    for (number, rows) in numbers.chunks(batch).enumerate() {
        let keys: Vec<RowKey> = rows.iter().map(|row| key(*row)).collect();
        let longest = rows.iter().map(|row| length(*row)).max().unwrap_or(0) as usize;
        let recalled = Recalled::read(store, &keeps, &keys, longest, Device::Cpu)?;
        // Checks every hundredth batch, so that no work can be skipped.
        if number % 100 == 0 {
            check(&recalled, &kept.row(rows[0], &values))?;
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Compares the first row of a batch with what was written.
fn check(recalled: &Recalled, row: &Row<'_>) -> Result<()> {
    let mut tensors = 0;
    for (name, tensor) in recalled.tensors() {
        let part = row.parts.iter().find(|part| part.name == name);
        let part = part.ok_or_else(|| Error::invalid(format!("`{name}` was never written")))?;
        let sizes: Vec<i64> = part.shape.iter().map(|size| *size as i64).collect();
        let expected = Tensor::f_from_data_size(&part.bytes, &sizes, part.kind)?.f_to_kind(part.given)?;
        let found = tensor.f_get(0)?.f_narrow(0, 0, sizes[0])?;
        if found != expected {
            return Err(Error::invalid(format!("`{name}` is not what was written")));
        }
        tensors += 1;
    }
    if tensors == row.parts.len() { Ok(()) } else { Err(Error::invalid("a tensor of the row is missing")) }
}
