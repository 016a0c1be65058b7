//! A column of the batch beside the column of the data that fills it.
//!
//! Lists of every width, and lists of lists, answer the same two questions: which values are theirs,
//! and where the values of one list lie.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use brew_core::batch::Column;
use brew_core::tch::Tensor;

use super::dtype::{Misfit, is_float, is_whole};
use crate::arrays::half::{Half, append_bits};
use crate::arrays::lists::{range, values};
use crate::arrays::numbers::{Numbers, append};
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// What the lists of a batch are padded to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    outer: usize,
    /// Of the lists in a list.
    inner: usize,
}

/// A declared column and its data.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) column: Column,
    /// Each chunk: the column, the values of its lists, and those of the lists in these.
    chunks: Vec<Vec<ArrayRef>>,
    /// The type of a value, be it a row's own or one of a row's list.
    value_type: DataType,
    /// How many lists are around a value.
    depth: usize,
    /// What two bytes that stand for a number mean.
    bits: Option<Half>,
}

impl Source {
    /// Looks up what the column is; reads nothing yet.
    pub(crate) fn new(dataset: &Dataset, column: Column) -> Result<Self> {
        let mut field: &FieldRef = dataset.field(column.name)?;
        let bits = Half::of(field, Some(column.kind));
        let bits = bits.map_err(|message| Error::format(dataset.path(), message))?;
        let mut depth = 0;
        while let DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) =
            field.data_type()
        {
            field = item;
            depth += 1;
        }
        Ok(Source { column, chunks: Vec::new(), value_type: field.data_type().clone(), depth, bits })
    }

    /// Brings the data in: maps it, or decodes it the first time.
    pub(crate) fn load(&mut self, dataset: &Dataset) -> Result<()> {
        let chunks = dataset.column_chunks(self.column.name)?;
        let levels = |array: ArrayRef| {
            let mut levels = vec![array];
            for _ in 0..self.depth {
                levels.extend(levels.last().map(|level| values(level).clone()));
            }
            levels
        };
        self.chunks = chunks.into_iter().map(levels).collect();
        Ok(())
    }

    /// The type of a value, be it a row's own or one of a row's list.
    pub(crate) fn value_type(&self) -> &DataType {
        &self.value_type
    }

    /// Whether the values are two bytes that stand for a number.
    pub(crate) fn is_bits(&self) -> bool {
        self.bits.is_some()
    }

    /// Whether rows are lists.
    pub(crate) fn is_list(&self) -> bool {
        self.depth > 0
    }

    /// How many lists are around a value.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Number of values of a row in use, or of its lists where it is a list of lists; 1 where rows are no
    /// lists.
    pub(crate) fn length(&self, dataset: &Dataset, row: usize) -> usize {
        let (chunk, row) = dataset.locate(row);
        self.outer(dataset, chunk, row).len()
    }

    /// The lengths of the lists in a row's list; nothing where they are no lists.
    pub(crate) fn inner_lengths(&self, dataset: &Dataset, row: usize) -> impl Iterator<Item = usize> {
        let (chunk, row) = dataset.locate(row);
        let lists = if self.depth == 2 { self.outer(dataset, chunk, row) } else { 0..0 };
        lists.map(move |list| range(&self.chunks[chunk][1], list).len())
    }

    /// The first row in use whose list has a null in it, at any depth.
    pub(crate) fn row_with_null(&self, dataset: &Dataset) -> Option<usize> {
        (1..=self.depth).find_map(|level| {
            if self.chunks.iter().all(|levels| levels[level].logical_null_count() == 0) {
                return None;
            }
            let nulls: Vec<_> = self.chunks.iter().map(|levels| levels[level].logical_nulls()).collect();
            (0..dataset.rows()).find(|&row| {
                let (chunk, row) = dataset.locate(row);
                let mut places = self.outer(dataset, chunk, row);
                if level == 2 {
                    places = self.span(chunk, places);
                }
                nulls[chunk]
                    .as_ref()
                    .is_some_and(|nulls| places.into_iter().any(|value| nulls.is_null(value)))
            })
        })
    }

    /// Adds the values of a row in use, whatever lists are around them; those of a column of integers.
    ///
    /// # Errors
    /// A value that is too large, by row.
    pub(crate) fn integers(&self, dataset: &Dataset, row: usize, into: &mut Vec<i64>) -> Result<()> {
        let (chunk, of_chunk) = dataset.locate(row);
        let mut places = self.outer(dataset, chunk, of_chunk);
        if self.depth == 2 {
            places = self.span(chunk, places);
        }
        let mut numbers = Numbers::Integers(std::mem::take(into));
        append(self.chunks[chunk][self.depth].as_ref(), places, &mut numbers)
            .map_err(|message| dataset.bad_value(row, self.column.name, message))?;
        if let Numbers::Integers(values) = numbers {
            *into = values;
        }
        Ok(())
    }

    /// What the lists of these rows are padded to: the longest of them, which is rounded up to a multiple
    /// where there is a pad value, and the longest list in one of them.
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

    /// The tensor of these rows: (rows,), or (rows, list) or (rows, list, list in one) of this extent,
    /// with shorter lists padded.
    ///
    /// # Errors
    /// A value that does not fit the dtype, by row.
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
        // Among integers a pad value such as 0.5 has its place kept by a 0.
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

    /// Names the column's type and what was asked for.
    pub(crate) fn wrong_type(&self, dataset: &Dataset) -> Error {
        let Column { kind, nested, .. } = self.column;
        let lists = if nested { " (rows, lists, values)" } else { "" };
        let mend = match (self.depth, nested) {
            (2, false) => "; declare lists of lists as such: `#[column(i64, pad = 0, nested)]`",
            _ if matches!(self.value_type, DataType::FixedSizeBinary(2)) && !self.is_bits() => {
                "; two bytes are a number where the batch says `f16` or `bf16`, or the column's metadata \
                 `brew.dtype` does"
            }
            _ => "",
        };
        match dataset.field(self.column.name) {
            Ok(field) => {
                let needed = format!("a tensor{lists} of dtype {kind:?}{mend}");
                dataset.not_numbers(field, &needed, !is_float(kind))
            }
            Err(missing) => missing,
        }
    }

    /// Where the values of a row, or its lists, lie; of a list that is to be cut, those that are kept.
    fn outer(&self, dataset: &Dataset, chunk: usize, row: usize) -> Range<usize> {
        if self.depth == 0 {
            return row..row + 1;
        }
        let range = range(&self.chunks[chunk][0], row);
        range.start..range.end.min(range.start.saturating_add(dataset.longest_kept()))
    }

    /// Where the values of neighbouring lists within a list lie.
    fn span(&self, chunk: usize, lists: Range<usize>) -> Range<usize> {
        if lists.is_empty() {
            return 0..0;
        }
        let array = &self.chunks[chunk][1];
        range(array, lists.start).start..range(array, lists.end - 1).end
    }
}
