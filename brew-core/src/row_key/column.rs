//! A column of a batch as bytes, row by row, from which row keys are computed.

use tch::Tensor;

use crate::error::Result;

/// A column's bytes, row by row.
pub(super) struct ColumnBytes {
    pub(super) name: &'static str,
    /// Name and dtype.
    pub(super) header: String,
    /// Bytes per position, or of the whole row if rows are not lists.
    pub(super) stride: usize,
    pub(super) is_list: bool,
    pub(super) is_padded: bool,
    /// Whether the whole column belongs to every row, because it does not have one row per row of the batch.
    pub(super) is_shared: bool,
    pub(super) length: usize,
    pub(super) pad: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl ColumnBytes {
    pub(super) fn of(name: &'static str, tensor: &Tensor, rows: usize, pad: Option<f64>) -> Result<Self> {
        let kind = tensor.kind();
        let is_shared = tensor.dim() == 0 || size(tensor, 0) != rows;
        let is_list = tensor.dim() >= 2 && !is_shared;
        let bytes = bytes(tensor)?;
        let length = if is_list { size(tensor, 1) } else { 1 };
        let stride = bytes.len().checked_div(rows * length).unwrap_or(0);
        let pad = pad.filter(|_| is_list).map(|pad| -> Result<Vec<u8>> {
            self::bytes(&Tensor::f_full([1], pad, (kind, tch::Device::Cpu))?)
        });
        let header = format!("{name} {kind:?}");
        let (pad, is_padded) = (pad.transpose()?, false);
        Ok(ColumnBytes { name, header, stride, is_list, is_padded, is_shared, length, pad, bytes })
    }

    pub(super) fn describe(&self) -> String {
        if self.is_list { format!("{} (list)", self.header) } else { self.header.clone() }
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        if self.is_shared {
            return &self.bytes;
        }
        let width = self.length * self.stride;
        self.bytes.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// The number of positions of a row up to the last one that is not the pad value.
    pub(super) fn extent(&self, row: usize) -> usize {
        let Some(pad) = &self.pad else { return self.length };
        let is_pad = |position: &[u8]| position.chunks(pad.len()).all(|value| value == pad.as_slice());
        let mut positions = self.row(row).chunks(self.stride.max(1));
        positions.rposition(|position| !is_pad(position)).map_or(0, |last| last + 1)
    }

    /// Whether all positions from `tokens` on are equal.
    pub(super) fn is_constant(&self, row: usize, tokens: usize) -> bool {
        let tail = self.row(row).get(tokens * self.stride..).unwrap_or_default();
        tail.get(self.stride..).is_none_or(|after| after == &tail[..after.len()])
    }
}

/// The size of a dimension; 0 if the tensor does not have it.
pub(super) fn size(tensor: &Tensor, dimension: usize) -> usize {
    tensor.size().get(dimension).map_or(0, |size| usize::try_from(*size).unwrap_or(0))
}

/// The bytes of a tensor on any device, row after row.
pub(crate) fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
