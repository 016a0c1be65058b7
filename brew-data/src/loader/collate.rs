//! Collates the rows of a batch into one tensor: gathers values and pads lists.

use brew_core::tch::Tensor;

use super::column::ColumnReader;
use super::dtype::{Misfit, is_float, is_whole};
use crate::arrays::half::append_bits;
use crate::arrays::lists::range;
use crate::arrays::numbers::{Numbers, append};
use crate::dataset::Dataset;
use crate::error::Result;

/// The lengths that the lists of a batch are padded to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    outer: usize,
    /// The length of the nested lists.
    inner: usize,
}

impl ColumnReader {
    /// The padded lengths for these rows: that of the longest list, rounded up to a multiple if there is a
    /// pad value, and that of the longest nested list.
    pub(crate) fn extent(&self, dataset: &Dataset, rows: &[u32], multiple: usize) -> Extent {
        if self.depth == 0 {
            return Extent { outer: 1, inner: 1 };
        }
        let outer = rows.iter().map(|&row| self.length(dataset, row as usize)).max().unwrap_or(0);
        let lists = || rows.iter().flat_map(|&row| self.inner_lengths(dataset, row as usize));
        Extent {
            outer: if self.column.pad.is_some() { outer.next_multiple_of(multiple) } else { outer },
            inner: if self.depth == 2 { lists().max().unwrap_or(0) } else { 1 },
        }
    }

    /// The tensor of these rows, with shorter lists padded to this extent: (rows,), (rows, list), or (rows,
    /// list, nested list).
    ///
    /// # Errors
    /// A value does not fit the dtype, by row.
    pub(crate) fn collate(&self, dataset: &Dataset, rows: &[u32], extent: Extent) -> Result<Tensor> {
        let (name, Extent { outer, inner }) = (self.column.name, extent);
        let places = rows.iter().map(|&row| {
            let (chunk, row) = dataset.locate(row as usize);
            (chunk, self.outer(dataset, chunk, row))
        });
        let room = rows.len() * outer * inner;
        let numbers = match self.bits {
            Some(_) => Some(Numbers::Floats(Vec::with_capacity(room))),
            None => Numbers::for_type(&self.value_type, room),
        };
        let mut numbers = numbers.ok_or_else(|| self.wrong_type(dataset))?;
        let pad = self.column.pad.unwrap_or(0.0);
        // A fractional pad value among integers is first represented by 0.
        let kind = self.column.kind;
        let set_apart = is_float(kind) && numbers.are_integers() && !is_whole(pad, kind);
        let mut padded = Vec::new();
        let mut pad_to = |length: usize, numbers: &mut Numbers| {
            if set_apart {
                padded.push(numbers.len()..length);
            }
            numbers.pad_to(length, if set_apart { 0.0 } else { pad });
        };
        for (index, (chunk, lists)) in places.enumerate() {
            let levels = &self.chunks[chunk];
            let values = &levels[self.depth];
            let add = |range, numbers: &mut Numbers| {
                match self.bits {
                    Some(half) => append_bits(values.as_ref(), range, half, numbers),
                    None => append(values.as_ref(), range, numbers),
                }
                .map_err(|message| dataset.bad_value(rows[index] as usize, name, message))
            };
            if self.depth == 2 {
                for (position, list) in lists.enumerate() {
                    add(range(&levels[1], list), &mut numbers)?;
                    pad_to((index * outer + position + 1) * inner, &mut numbers);
                }
            } else {
                add(lists, &mut numbers)?;
            }
            pad_to((index + 1) * outer * inner, &mut numbers);
        }
        let first_row = rows.first().map_or(0, |&row| row as usize);
        let torch = |error| dataset.bad_value(first_row, name, brew_core::Error::from(error).to_string());
        let mut tensor = numbers.to_tensor(kind).map_err(|misfit| match misfit {
            Misfit::Value { position, message } => {
                dataset.bad_value(rows[position / (outer * inner)] as usize, name, message)
            }
            Misfit::Torch(error) => torch(error),
        })?;
        if set_apart {
            let mut mask = vec![false; room];
            padded.into_iter().for_each(|range| mask[range].fill(true));
            let mask = Tensor::f_from_slice(&mask).map_err(torch)?;
            tensor = tensor.f_masked_fill_(&mask, pad).map_err(torch)?;
        }
        let size = [rows.len() as i64, outer as i64, inner as i64];
        tensor.f_view(&size[..=self.depth]).map_err(torch)
    }
}
