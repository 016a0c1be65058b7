//! A column of the batch beside the column of the data that fills it.
//!
//! Lists of every width answer the same two questions: which values are theirs, and where the values
//! of one row lie.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use brew_core::batch::Column;
use brew_core::tch::{Kind, Tensor};

use super::numbers::{Misfit, Numbers, append};
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// A declared column and its data.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) column: Column,
    chunks: Vec<ArrayRef>,
    /// The type of a value, be it a row's own or one of a row's list.
    value_type: DataType,
    is_list: bool,
}

impl Source {
    /// Looks the column up.
    pub(crate) fn new(dataset: &Dataset, column: Column) -> Result<Self> {
        let data_type = dataset.field(column.name)?.data_type();
        let chunks = dataset.column_chunks(column.name)?;
        let element = match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item),
            _ => None,
        };
        let value_type = element.map_or(data_type, |item| item.data_type()).clone();
        Ok(Source { column, chunks, value_type, is_list: element.is_some() })
    }

    /// The type of a value, be it a row's own or one of a row's list.
    pub(crate) fn value_type(&self) -> &DataType {
        &self.value_type
    }

    /// Whether rows are lists.
    pub(crate) fn is_list(&self) -> bool {
        self.is_list
    }

    /// Number of values of a row in use: 1 where rows are no lists.
    pub(crate) fn length(&self, dataset: &Dataset, row: usize) -> usize {
        let (chunk, row) = dataset.locate(row);
        self.range(chunk, row).len()
    }

    /// The first row in use whose list has a null in it.
    pub(crate) fn row_with_null(&self, dataset: &Dataset) -> Option<usize> {
        if self.chunks.iter().all(|chunk| values(chunk).logical_null_count() == 0) {
            return None;
        }
        let nulls: Vec<_> = self.chunks.iter().map(|chunk| values(chunk).logical_nulls()).collect();
        (0..dataset.rows()).find(|&row| {
            let (chunk, row) = dataset.locate(row);
            nulls[chunk]
                .as_ref()
                .is_some_and(|nulls| self.range(chunk, row).any(|value| nulls.is_null(value)))
        })
    }

    /// The tensor of these rows: (rows,), or (rows, longest list) with shorter lists padded.
    ///
    /// # Errors
    /// A value that does not fit the dtype, by row.
    pub(crate) fn collate(&self, dataset: &Dataset, rows: &[u32]) -> Result<Tensor> {
        let name = self.column.name;
        let places: Vec<_> = rows.iter().map(|&row| dataset.locate(row as usize)).collect();
        let longest = places.iter().map(|&(chunk, row)| self.range(chunk, row).len()).max().unwrap_or(0);
        let mut numbers = Numbers::for_type(&self.value_type, rows.len() * longest)
            .ok_or_else(|| self.wrong_type(dataset, self.column.kind))?;
        for (index, &(chunk, row)) in places.iter().enumerate() {
            append(values(&self.chunks[chunk]).as_ref(), self.range(chunk, row), &mut numbers)
                .map_err(|message| dataset.bad_value(rows[index] as usize, name, message))?;
            numbers.pad_to((index + 1) * longest, self.column.pad.unwrap_or(0.0));
        }
        let first_row = rows.first().map_or(0, |&row| row as usize);
        let torch = |error| dataset.bad_value(first_row, name, brew_core::Error::from(error).to_string());
        let tensor = numbers.to_tensor(self.column.kind).map_err(|misfit| match misfit {
            Misfit::Value { position, message } => {
                dataset.bad_value(rows[position / longest] as usize, name, message)
            }
            Misfit::Torch(error) => torch(error),
        })?;
        if !self.is_list {
            return Ok(tensor);
        }
        tensor.f_view([rows.len() as i64, longest as i64]).map_err(torch)
    }

    /// Names the column's type and the dtype that was asked for.
    pub(crate) fn wrong_type(&self, dataset: &Dataset, kind: Kind) -> Error {
        match dataset.field(self.column.name) {
            Ok(field) => dataset.wrong_type(field, &format!("a tensor of dtype {kind:?}")),
            Err(missing) => missing,
        }
    }

    /// Where the values of a row lie in the values of its chunk.
    fn range(&self, chunk: usize, row: usize) -> Range<usize> {
        let array = &self.chunks[chunk];
        match array.data_type() {
            DataType::List(_) => {
                let offsets = array.as_list::<i32>().value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            DataType::LargeList(_) => {
                let offsets = array.as_list::<i64>().value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            DataType::FixedSizeList(_, length) => {
                let length = *length as usize;
                row * length..(row + 1) * length
            }
            _ => row..row + 1,
        }
    }
}

/// The values of a chunk: those of its lists, or its own.
fn values(chunk: &ArrayRef) -> &ArrayRef {
    match chunk.data_type() {
        DataType::List(_) => chunk.as_list::<i32>().values(),
        DataType::LargeList(_) => chunk.as_list::<i64>().values(),
        DataType::FixedSizeList(..) => chunk.as_fixed_size_list().values(),
        _ => chunk,
    }
}
