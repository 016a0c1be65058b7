//! Row keys: identify a row of the data by a hash of the teacher's inputs.
//!
//! A key depends only on the row: not on its position, the batch's other rows, or its padding. It covers
//! every column that the teacher reads, even if that column also has another role: the input ids of a
//! language model are also its labels. Columns that the teacher does not read, usually labels and row
//! numbers, are left out. If it is unknown which columns the teacher reads, all are included.

mod column;

use std::fmt;

use tch::Tensor;

use crate::adaptor::Adaptor;
use crate::batch::Batch;
use crate::error::{InStage, Result};
use crate::role::{InputsMask, LogitsMask, Role};

pub(crate) use column::bytes;
use column::{ColumnBytes, size};

/// The first half of a BLAKE3 hash: long enough that collisions do not occur by chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub [u8; 16]);

impl RowKey {
    /// The key of the same row at one padded length, for features that depend on the padding.
    #[must_use]
    pub fn at_length(self, length: i64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(&length.to_le_bytes());
        RowKey::of(&hasher)
    }

    /// The key of the same row with only some features, for a pipeline that reads less than the cache stores
    /// and whose rows therefore cannot serve other pipelines.
    #[must_use]
    pub(crate) fn with_only(self, features: impl IntoIterator<Item = String>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        for name in features {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        }
        RowKey::of(&hasher)
    }

    fn of(hasher: &blake3::Hasher) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        RowKey(key)
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The keys of a batch's rows, with the padding of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKeys {
    /// One key per row.
    pub keys: Vec<RowKey>,
    /// The number of positions of each row before its trailing padding.
    pub tokens: Vec<usize>,
    /// The length that all rows are padded to; 0 if the batch has no lists.
    pub length: usize,
    /// The columns that the keys cover, such as `input_ids Int64 (list)`.
    pub columns: Vec<String>,
    /// The names of the columns that are padded to `length`.
    pub padded: Vec<&'static str>,
}

impl RowKeys {
    /// The keys of a batch for a model that reads these columns; of all columns if they are unknown or the
    /// adaptor also derives features from the batch. Best called before the batch moves to a device, since it
    /// needs the bytes of the columns.
    ///
    /// # Errors
    /// Those of the adaptor, and of libtorch.
    pub fn of<A: Adaptor>(batch: &A::Batch, reads: Option<&[String]>) -> Result<Self> {
        let read = |role| -> Result<Vec<Tensor>> {
            Ok(A::read_batch(role, batch)?.map(|feature| feature.into_tensors()).unwrap_or_default())
        };
        let (mask, logits_mask) = (read(InputsMask::NAME)?, read(LogitsMask::NAME)?);
        let declares_pads = batch.tensors().iter().any(|(name, _)| A::Batch::pad(name).is_some());
        let reads = reads.filter(|_| !A::READS_BATCH);
        let is_read = |name: &str| reads.is_none_or(|reads| reads.iter().any(|read| read == name));
        let mut columns = Vec::new();
        for (name, tensor) in batch.tensors() {
            if is_read(name) {
                let pad = A::Batch::pad(name);
                columns.push(ColumnBytes::of(name, tensor, batch.rows(), pad).in_stage(name)?);
            }
        }
        let mask = mask.first().filter(|mask| mask.dim() == 2);
        let longest = columns.iter().filter(|column| column.pad.is_some()).map(|column| column.length).max();
        let length = match mask {
            Some(mask) => size(mask, 1),
            None => longest.unwrap_or(0),
        };
        let is_padded = |tensor: &Tensor, pad: bool| {
            tensor.dim() >= 2
                && size(tensor, 1) == length
                && match declares_pads {
                    true => pad,
                    // Tuples declare no pads: there only the mask says what is padding.
                    false => mask.is_some(),
                }
        };
        let padded: Vec<&'static str> = (batch.tensors().into_iter())
            .filter(|(name, tensor)| is_padded(tensor, A::Batch::pad(name).is_some()))
            .map(|(name, _)| name)
            .collect();
        for column in &mut columns {
            column.is_padded = padded.contains(&column.name) && !column.is_shared;
        }
        let mut tokens = match mask {
            Some(mask) => extents(mask, batch.rows())?,
            None => unpadded(&columns, batch.rows(), length),
        };
        // A position that a loss reads is not padding, even if the model's mask says so.
        for mask in logits_mask.iter().filter(|mask| mask.dim() == 2 && size(mask, 1) == length) {
            tokens
                .iter_mut()
                .zip(extents(mask, batch.rows())?)
                .for_each(|(tokens, extent)| *tokens = extent.max(*tokens));
        }
        for (row, tokens) in tokens.iter_mut().enumerate() {
            let mut padded = columns.iter().filter(|column| column.is_padded);
            // Nothing is cut from a row whose mask is 0 everywhere, or if more than padding would be cut.
            if *tokens == 0 || !(declares_pads || padded.all(|column| column.is_constant(row, *tokens))) {
                *tokens = length;
            }
        }
        let keys = tokens.iter().enumerate().map(|(row, tokens)| key(&columns, row, *tokens)).collect();
        let columns = columns.iter().map(ColumnBytes::describe).collect();
        Ok(RowKeys { keys, tokens, length, columns, padded })
    }

    /// The keys of some rows, by their positions in the batch.
    pub(crate) fn of_rows(&self, rows: &[usize]) -> Self {
        RowKeys {
            keys: rows.iter().filter_map(|row| self.keys.get(*row).copied()).collect(),
            tokens: rows.iter().filter_map(|row| self.tokens.get(*row).copied()).collect(),
            ..self.clone()
        }
    }
}

fn key(columns: &[ColumnBytes], row: usize, tokens: usize) -> RowKey {
    let mut hasher = blake3::Hasher::new();
    // The number of kept positions is part of the key, whichever column determines it.
    hasher.update(&(tokens as u64).to_le_bytes());
    for column in columns {
        let extent = match (column.is_padded, column.is_list) {
            // If the mask belongs to another column, this column may have more tokens than the mask says.
            (true, _) => column.pad.as_ref().map_or(tokens, |_| column.extent(row).max(tokens)),
            (false, true) => column.extent(row),
            (false, false) => 1,
        };
        let bytes = column.row(row);
        let bytes = match column.is_shared {
            true => bytes,
            false => bytes.get(..extent * column.stride).unwrap_or(bytes),
        };
        hasher.update(column.header.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    RowKey::of(&hasher)
}

/// The longest extent of each row over the columns of this length.
fn unpadded(columns: &[ColumnBytes], rows: usize, length: usize) -> Vec<usize> {
    let padded = || columns.iter().filter(|column| column.is_padded);
    (0..rows).map(|row| padded().map(|column| column.extent(row)).max().unwrap_or(length)).collect()
}

/// The number of positions of each row up to the last that a `(rows, length)` mask keeps.
fn extents(mask: &Tensor, rows: usize) -> Result<Vec<usize>> {
    let kept = bytes(&mask.f_ne(0)?)?;
    let length = size(mask, 1);
    let row = |row| kept.get(row * length..(row + 1) * length).unwrap_or_default();
    Ok((0..rows)
        .map(|number| row(number).iter().rposition(|kept| *kept != 0).map_or(0, |last| last + 1))
        .collect())
}
