//! The features of one row as bytes, cut from a batch's tensors without padding.

use std::borrow::Cow;

use tch::{Kind, Tensor};

use super::card::KeptFeature;
use super::payload::Payload;
use crate::error::{Error, InStage, Result};
use crate::role::{Attention, Hidden, Key, Logits, Query, Role, Value};
use crate::row_key::{RowKey, RowKeys, bytes};

/// The features of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Positions that are not padding.
    pub tokens: usize,
    /// The length that the row was padded to when it was stored.
    pub length: usize,
    /// The tensors.
    pub parts: Vec<RowPart<'a>>,
}

/// One tensor of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPart<'a> {
    /// Role and layer, or role and index in its list: `hidden/2`.
    pub name: Cow<'a, str>,
    /// The stored dtype.
    pub kind: Kind,
    /// The teacher's dtype.
    pub given: Kind,
    /// The shape without the batch dimension.
    pub shape: Vec<usize>,
    /// The dimensions of `shape` that were cut to the row's number of tokens.
    pub cut: Cow<'a, [usize]>,
    /// The values in native byte order, last dimension fastest.
    pub bytes: Cow<'a, [u8]>,
}

impl RowPart<'_> {
    /// The same with bytes of its own.
    fn into_owned(self) -> RowPart<'static> {
        RowPart {
            name: Cow::Owned(self.name.into_owned()),
            cut: Cow::Owned(self.cut.into_owned()),
            bytes: Cow::Owned(self.bytes.into_owned()),
            kind: self.kind,
            given: self.given,
            shape: self.shape,
        }
    }
}

impl Row<'_> {
    /// The number of bytes of the values.
    pub fn size(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// The same with bytes of its own.
    pub fn into_owned(self) -> Row<'static> {
        let parts = self.parts.into_iter().map(RowPart::into_owned).collect();
        Row { parts, tokens: self.tokens, length: self.length }
    }

    /// The key to store the row under: if a part's size depends on the padded length, the row serves only
    /// that length.
    pub fn key(&self, key: RowKey) -> RowKey {
        let follows = |part: &RowPart<'_>| part.cut.is_empty() && part.shape.contains(&self.length);
        let is_bound = self.length > 0 && self.parts.iter().any(follows);
        if is_bound { key.at_length(self.length as i64) } else { key }
    }
}

/// A part of a batch's features before it is cut into rows.
#[derive(Debug)]
pub(crate) struct Whole {
    name: String,
    kind: Kind,
    given: Kind,
    shape: Vec<usize>,
    /// The dimensions of `shape` that run over the length and are cut.
    cut: Vec<usize>,
    bytes: Vec<u8>,
}

impl Whole {
    /// The parts of a stored feature: its tensors, each `(rows, …)`.
    ///
    /// # Errors
    /// A tensor whose number of rows or length differs from the batch's.
    pub(crate) fn of(
        keep: &KeptFeature,
        tensors: &[Tensor],
        keys: &RowKeys,
        payload: &Payload,
    ) -> Result<Vec<Whole>> {
        let is_top = payload.is_top() && keep.role == Logits::NAME;
        let part = |(index, tensor): (usize, &Tensor)| -> Result<Whole> {
            let name = match keep.layer {
                Some(layer) => format!("{}/{layer}", keep.role),
                None => format!("{}/{index}", keep.role),
            };
            let given = tensor.kind();
            let kind = payload.kept(given, is_top && index.is_multiple_of(3));
            let sizes = tensor.size();
            let shape: Vec<usize> =
                sizes.iter().skip(1).map(|size| usize::try_from(*size).unwrap_or(0)).collect();
            if sizes.first() != Some(&(keys.keys.len() as i64)) {
                return Err(Error::invalid(format!(
                    "`{}` is {}, which is not one value per row for the batch's {} rows: it cannot be cached",
                    keep.role,
                    crate::words::shape(&sizes),
                    keys.keys.len()
                )));
            }
            // The third tensor of the top logits has one dimension less.
            let rank = shape.len() + usize::from(is_top && index % 3 == 2);
            let cut = if keep.padding { &[] } else { length_dimensions(&keep.role, rank) };
            if let Some(dimension) = cut.iter().find(|dimension| shape.get(**dimension) != Some(&keys.length))
            {
                return Err(Error::invalid(format!(
                    "`{}` is {}: its dimension {} should be the batch's length, {}",
                    keep.role,
                    crate::words::shape(&sizes),
                    dimension + 1,
                    keys.length
                )));
            }
            let bytes = bytes(&tensor.f_detach()?.f_to_kind(kind)?)?;
            Ok(Whole { name, kind, given, shape, cut: cut.to_vec(), bytes })
        };
        tensors.iter().enumerate().map(part).collect::<Result<_>>().in_stage(&keep.to_string())
    }

    /// Bytes of a row without padding.
    pub(crate) fn row_bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.kind.elt_size_in_bytes()
    }

    /// The part of one row, with this many positions that are not padding.
    pub(crate) fn row(&self, row: usize, tokens: usize) -> RowPart<'_> {
        let mut shape = self.shape.clone();
        for dimension in &self.cut {
            shape[*dimension] = tokens;
        }
        let size = self.kind.elt_size_in_bytes();
        let width = self.shape.iter().product::<usize>() * size;
        let whole = self.bytes.get(row * width..(row + 1) * width).unwrap_or_default();
        let kept = shape.iter().product::<usize>() * size;
        let bytes = match self.cut.as_slice() {
            [] | [0] => Cow::Borrowed(&whole[..kept]),
            _ => {
                let mut bytes = vec![0; kept];
                runs(&shape, &self.shape, size, |small, large, length| {
                    bytes[small..small + length].copy_from_slice(&whole[large..large + length]);
                });
                Cow::Owned(bytes)
            }
        };
        RowPart {
            name: Cow::Borrowed(&self.name),
            kind: self.kind,
            given: self.given,
            shape,
            cut: Cow::Borrowed(&self.cut),
            bytes,
        }
    }
}

/// The dimensions of a row's part that run over its tokens, if a mask covers its padding.
fn length_dimensions(role: &str, rank: usize) -> &'static [usize] {
    match (role, rank) {
        (Hidden::NAME | Query::NAME | Key::NAME | Value::NAME | Logits::NAME, 2) => &[0],
        (Attention::NAME, 3) => &[1, 2],
        _ => &[],
    }
}

/// Calls `copy` for each contiguous run of a smaller array, with the run's offset in the smaller and in a
/// larger array of the same rank, and its length.
pub(super) fn runs(small: &[usize], large: &[usize], size: usize, mut copy: impl FnMut(usize, usize, usize)) {
    // Everything after the last differing dimension is contiguous in both.
    let Some(last) = (0..small.len()).rev().find(|dimension| small[*dimension] != large[*dimension]) else {
        copy(0, 0, small.iter().product::<usize>() * size);
        return;
    };
    let run = small[last..].iter().product::<usize>() * size;
    let stride = large[last..].iter().product::<usize>() * size;
    let count = small[..last].iter().product::<usize>();
    if run == 0 {
        return;
    }
    let mut place = vec![0; last];
    for index in 0..count {
        let offset = place.iter().zip(large).fold(0, |offset, (position, size)| offset * size + position);
        copy(index * run, offset * stride, run);
        for dimension in (0..last).rev() {
            place[dimension] += 1;
            if place[dimension] < small[dimension] {
                break;
            }
            place[dimension] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_find_a_corner_of_a_larger_array() {
        // numpy: np.arange(24).reshape(2, 3, 4)[:, :2, :3].ravel()
        let large: Vec<u8> = (0..24).collect();
        let mut small = vec![0; 12];
        runs(&[2, 2, 3], &[2, 3, 4], 1, |to, from, length| {
            small[to..to + length].copy_from_slice(&large[from..from + length]);
        });
        assert_eq!(small, [0, 1, 2, 4, 5, 6, 12, 13, 14, 16, 17, 18]);
    }
}
