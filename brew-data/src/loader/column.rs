//! Reads the data column behind a declared column of the batch.
//!
//! Lists of every width, and lists of lists, answer the same two questions: which values they hold, and where
//! the values of each list are.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use brew_core::batch::Column;
use brew_core::tch::Kind;

use super::dtype::is_float;
use crate::arrays::half::Half;
use crate::arrays::lists::{range, values};
use crate::arrays::numbers::{Numbers, append};
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// A declared column with its data.
#[derive(Debug)]
pub(crate) struct ColumnReader {
    pub(crate) column: Column,
    /// For each chunk: the column, the values of its lists, and the values of nested lists.
    pub(super) chunks: Vec<Vec<ArrayRef>>,
    /// The type of the innermost values.
    pub(super) value_type: DataType,
    /// How deep values are nested in lists.
    pub(super) depth: usize,
    /// The dtype of two-byte floats.
    pub(super) bits: Option<Half>,
}

impl ColumnReader {
    /// Looks up the column; reads nothing yet.
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
        Ok(ColumnReader { column, chunks: Vec::new(), value_type: field.data_type().clone(), depth, bits })
    }

    /// Loads the data: maps it, or decodes it the first time.
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

    /// Whether the values are two-byte floats.
    pub(crate) fn is_bits(&self) -> bool {
        self.bits.is_some()
    }

    /// Whether rows are lists.
    pub(crate) fn is_list(&self) -> bool {
        self.depth > 0
    }

    /// The length of a row's list (the outer one for lists of lists); 1 if rows are not lists.
    pub(crate) fn length(&self, dataset: &Dataset, row: usize) -> usize {
        let (chunk, row) = dataset.locate(row);
        self.outer(dataset, chunk, row).len()
    }

    /// The lengths of a row's nested lists, if it has any.
    pub(crate) fn inner_lengths(&self, dataset: &Dataset, row: usize) -> impl Iterator<Item = usize> {
        let (chunk, row) = dataset.locate(row);
        let lists = if self.depth == 2 { self.outer(dataset, chunk, row) } else { 0..0 };
        lists.map(move |list| range(&self.chunks[chunk][1], list).len())
    }

    /// The first row in use with a null inside its list, at any depth.
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

    /// Appends a row's innermost values; for integer columns only.
    ///
    /// # Errors
    /// A value is too large, by row.
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

    /// The error naming the column's type and the declared dtype.
    pub(crate) fn wrong_type(&self, dataset: &Dataset) -> Error {
        let Column { kind, nested, .. } = self.column;
        let lists = if nested { " (rows, lists, values)" } else { "" };
        let mend = match (self.depth, nested) {
            (2, false) => "; declare lists of lists as such: `#[column(i64, pad = 0, nested)]`".to_owned(),
            _ if matches!(self.value_type, DataType::FixedSizeBinary(2)) && !self.is_bits() => {
                "; two-byte values are numbers if the batch declares `f16` or `bf16`, or the column's \
                 metadata `brew.dtype` does"
                    .to_owned()
            }
            _ => self.whole(),
        };
        match dataset.field(self.column.name) {
            Ok(field) => {
                let needed = format!("a tensor{lists} of dtype {kind:?}{mend}");
                dataset.not_numbers(field, &needed, !is_float(kind))
            }
            Err(missing) => missing,
        }
    }

    /// What a column of floats may become where the batch declares whole numbers; empty for others.
    fn whole(&self) -> String {
        let Column { name, kind, .. } = self.column;
        if !self.value_type.is_floating() || self.depth > 0 || is_float(kind) || kind == Kind::Bool {
            return String::new();
        }
        format!(
            "; `.column(\"{name}\").to_integers().as_(\"{name}\")` makes whole numbers of it, or declare it as f32, as \
             `FloatLabelTextBatch` does `labels`"
        )
    }

    /// The range of a row's values (its lists, for lists of lists), without what the limit cuts off.
    pub(super) fn outer(&self, dataset: &Dataset, chunk: usize, row: usize) -> Range<usize> {
        if self.depth == 0 {
            return row..row + 1;
        }
        let range = range(&self.chunks[chunk][0], row);
        range.start..range.end.min(range.start.saturating_add(dataset.longest_kept()))
    }

    /// The range of the values of consecutive nested lists.
    fn span(&self, chunk: usize, lists: Range<usize>) -> Range<usize> {
        if lists.is_empty() {
            return 0..0;
        }
        let array = &self.chunks[chunk][1];
        range(array, lists.start).start..range(array, lists.end - 1).end
    }
}
