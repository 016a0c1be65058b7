//! Which row of the data a row of a batch is: a hash of what the teacher reads of it.
//!
//! A key depends on the row alone: not on its place, on the batch's other rows, nor on how far it was
//! padded. Labels and row numbers are left out, since a teacher's features do not depend on them.

use std::fmt;

use tch::Tensor;

use crate::adaptor::Adaptor;
use crate::batch::Batch;
use crate::error::{InStage, Result};
use crate::role::{Index, InputsMask, Labels, LogitsMask, Role};

/// The first half of a BLAKE3 hash, which no two rows share by chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(pub [u8; 16]);

impl RowKey {
    /// The key of the same row at one padded length: for features that depend on it.
    #[must_use]
    pub fn at_length(self, length: i64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(&length.to_le_bytes());
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

/// The keys of a batch's rows, with what is padding in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKeys {
    /// One a row.
    pub keys: Vec<RowKey>,
    /// Positions of each row that are not padding behind its end.
    pub tokens: Vec<usize>,
    /// The length that all rows are padded to; 0 where the batch has no lists.
    pub length: usize,
    /// What the keys are made of, such as `input_ids Int64 (list)`.
    pub columns: Vec<String>,
    /// The names of the columns that are padded to `length`.
    pub padded: Vec<&'static str>,
}

impl RowKeys {
    /// The keys of a batch as its adaptor reads it. Best before the batch goes to a device: the bytes of
    /// its columns are needed here.
    ///
    /// # Errors
    /// Those of the adaptor, and of libtorch.
    pub fn of<A: Adaptor>(batch: &A::Batch) -> Result<Self> {
        let read = |role| -> Result<Vec<Tensor>> {
            Ok(A::read_batch(role, batch)?.map(|feature| feature.into_tensors()).unwrap_or_default())
        };
        let apart: Vec<usize> = [read(Labels::NAME)?, read(Index::NAME)?]
            .iter()
            .flatten()
            .map(|tensor| tensor.data_ptr() as usize)
            .collect();
        let (mask, logits_mask) = (read(InputsMask::NAME)?, read(LogitsMask::NAME)?);
        let declares_pads = batch.tensors().iter().any(|(name, _)| A::Batch::pad(name).is_some());
        let mut columns = Vec::new();
        for (name, tensor) in batch.tensors() {
            if name != Labels::NAME && !apart.contains(&(tensor.data_ptr() as usize)) {
                columns.push(Column::of(name, tensor, A::Batch::pad(name)).in_stage(name)?);
            }
        }
        let mask = mask.first().filter(|mask| mask.dim() == 2);
        let longest = columns.iter().filter(|column| column.pad.is_some()).map(|column| column.length).max();
        let length = match mask {
            Some(mask) => size(mask, 1),
            None => longest.unwrap_or(0),
        };
        for column in &mut columns {
            column.is_padded = column.is_list
                && column.length == length
                && match declares_pads {
                    true => column.pad.is_some(),
                    // Tuples declare no pads: there the mask alone says what is padding.
                    false => mask.is_some(),
                };
        }
        let mut tokens = match mask {
            Some(mask) => extents(mask, batch.rows())?,
            None => unpadded(&columns, batch.rows(), length),
        };
        // A position that a loss reads is no padding, whatever the model makes of it.
        for mask in logits_mask.iter().filter(|mask| mask.dim() == 2 && size(mask, 1) == length) {
            tokens
                .iter_mut()
                .zip(extents(mask, batch.rows())?)
                .for_each(|(tokens, extent)| *tokens = extent.max(*tokens));
        }
        for (row, tokens) in tokens.iter_mut().enumerate() {
            let mut padded = columns.iter().filter(|column| column.is_padded);
            // Nothing is cut from a row whose mask is 0 everywhere, nor where more than padding would go.
            if *tokens == 0 || !(declares_pads || padded.all(|column| column.is_constant(row, *tokens))) {
                *tokens = length;
            }
        }
        let keys = tokens.iter().enumerate().map(|(row, tokens)| key(&columns, row, *tokens)).collect();
        let padded = columns.iter().filter(|column| column.is_padded).map(|column| column.name).collect();
        let columns = columns.iter().map(Column::describe).collect();
        Ok(RowKeys { keys, tokens, length, columns, padded })
    }
}

/// A column's bytes, row by row.
struct Column {
    name: &'static str,
    /// Name and dtype.
    header: String,
    /// Bytes of one position, or of the whole row where rows are no lists.
    stride: usize,
    is_list: bool,
    is_padded: bool,
    length: usize,
    pad: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Column {
    fn of(name: &'static str, tensor: &Tensor, pad: Option<f64>) -> Result<Self> {
        let kind = tensor.kind();
        let is_list = tensor.dim() >= 2;
        let rows = size(tensor, 0);
        let bytes = bytes(tensor)?;
        let length = if is_list { size(tensor, 1) } else { 1 };
        let stride = bytes.len().checked_div(rows * length).unwrap_or(0);
        let pad = pad.filter(|_| is_list).map(|pad| -> Result<Vec<u8>> {
            self::bytes(&Tensor::f_full([1], pad, (kind, tch::Device::Cpu))?)
        });
        let header = format!("{name} {kind:?}");
        Ok(Column { name, header, stride, is_list, is_padded: false, length, pad: pad.transpose()?, bytes })
    }

    fn describe(&self) -> String {
        if self.is_list { format!("{} (list)", self.header) } else { self.header.clone() }
    }

    fn row(&self, row: usize) -> &[u8] {
        let width = self.length * self.stride;
        self.bytes.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// Positions of a row up to the last that is not the pad value.
    fn extent(&self, row: usize) -> usize {
        let Some(pad) = &self.pad else { return self.length };
        let is_pad = |position: &[u8]| position.chunks(pad.len()).all(|value| value == pad.as_slice());
        let mut positions = self.row(row).chunks(self.stride.max(1));
        positions.rposition(|position| !is_pad(position)).map_or(0, |last| last + 1)
    }

    /// Whether all positions from `tokens` on are the same.
    fn is_constant(&self, row: usize, tokens: usize) -> bool {
        let tail = self.row(row).get(tokens * self.stride..).unwrap_or_default();
        tail.get(self.stride..).is_none_or(|after| after == &tail[..after.len()])
    }
}

fn key(columns: &[Column], row: usize, tokens: usize) -> RowKey {
    let mut hasher = blake3::Hasher::new();
    for column in columns {
        let extent = match (column.is_padded, column.is_list) {
            // Should the mask be another column's, more than its tokens may be this one's.
            (true, _) => column.pad.as_ref().map_or(tokens, |_| column.extent(row).max(tokens)),
            (false, true) => column.extent(row),
            (false, false) => 1,
        };
        let bytes = column.row(row);
        let bytes = bytes.get(..extent * column.stride).unwrap_or(bytes);
        hasher.update(column.header.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    RowKey::of(&hasher)
}

/// The longest extent of each row over the columns of this length.
fn unpadded(columns: &[Column], rows: usize, length: usize) -> Vec<usize> {
    let padded = || columns.iter().filter(|column| column.is_padded);
    (0..rows).map(|row| padded().map(|column| column.extent(row)).max().unwrap_or(length)).collect()
}

/// Positions of each row up to the last that a `(rows, length)` mask keeps.
fn extents(mask: &Tensor, rows: usize) -> Result<Vec<usize>> {
    let kept = bytes(&mask.f_ne(0)?)?;
    let length = size(mask, 1);
    let row = |row| kept.get(row * length..(row + 1) * length).unwrap_or_default();
    Ok((0..rows)
        .map(|number| row(number).iter().rposition(|kept| *kept != 0).map_or(0, |last| last + 1))
        .collect())
}

fn size(tensor: &Tensor, dimension: usize) -> usize {
    tensor.size().get(dimension).map_or(0, |size| usize::try_from(*size).unwrap_or(0))
}

/// The bytes of a tensor, wherever it is, row after row.
pub(super) fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
