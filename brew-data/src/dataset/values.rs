//! Columns as plain Rust values, and plain Rust values as a column: for labels, splits and filters.

use std::sync::Arc;

use arrow::array::builder::{Int64Builder, ListBuilder};
use arrow::array::{Array, ArrayRef, Int64Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};

use super::features::without;
use super::{Dataset, Stored};
use crate::arrays::half::{Half, append_bits};
use crate::arrays::lists::list_at;
use crate::arrays::numbers::{Numbers, append};
use crate::arrays::text::text_at;
use crate::error::{Error, Result};
use crate::source::table::Table;

/// Rows copied at once when a column is added.
const CHUNK_ROWS: usize = 8192;

/// Whole numbers up to it are exact in float64.
const LARGEST_EXACT: u64 = 1 << 53;

/// What to do about two bytes of which nobody says what they are.
const BITS: &str =
    "; two bytes are a number where the column's metadata `brew.dtype` says `float16` or `bfloat16`";

/// Where the values of the rows in use stand among the rows of the files.
enum Places {
    /// Every row is in use, in the order of the files.
    AsTheyAre,
    /// The value of each row of the files.
    Of(UInt64Array),
    /// A row is in use twice, or none is: the rows must be copied first.
    Twice,
}

impl Dataset {
    /// A column of whole numbers (any integer type, or bool as 0 and 1), one value a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, a missing value, or one outside int64.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>> {
        self.refuse_bits(column, "integers")?;
        match self.numbers(column, "integers")? {
            Numbers::Integers(values) => Ok(values),
            Numbers::Floats(_) => Err(self.wrong_type(self.field(column)?, "integers")),
        }
    }

    /// A column of numbers (any integer or float type, or two bytes where the column's metadata
    /// `brew.dtype` says `float16` or `bfloat16`), one value a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, a missing value, or an integer that float64 would round.
    pub fn floats(&self, column: &str) -> Result<Vec<f64>> {
        match self.numbers(column, "numbers")? {
            Numbers::Integers(values) => {
                let exact = |(row, value): (usize, i64)| match value.unsigned_abs() {
                    0..=LARGEST_EXACT => Ok(value as f64),
                    _ => Err(self.bad_value(row, column, format!("{value} does not fit float64 exactly"))),
                };
                values.into_iter().enumerate().map(exact).collect()
            }
            Numbers::Floats(values) => Ok(values),
        }
    }

    /// A column of text, one value a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, or a missing value.
    pub fn texts(&self, column: &str) -> Result<Vec<String>> {
        self.refuse_nulls(column)?;
        let chunks = self.column_chunks(column)?;
        let texts = (0..self.rows).map(|row| {
            let (chunk, offset) = self.locate(row);
            text_at(&chunks[chunk], offset).map(str::to_owned)
        });
        texts.collect::<Option<_>>().ok_or_else(|| match self.field(column) {
            Ok(field) => self.wrong_type(field, "text"),
            Err(missing) => missing,
        })
    }

    /// A column of lists of text, such as the tokens of sentences, one list a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, or a missing value.
    pub fn text_lists(&self, column: &str) -> Result<Vec<Vec<String>>> {
        self.lists(column, "lists of text", |values| {
            (0..values.len()).map(|index| text_at(values, index).map(str::to_owned)).collect()
        })
    }

    /// A column of lists of whole numbers (any integer type), one list a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, a missing value, or one outside int64.
    pub fn integer_lists(&self, column: &str) -> Result<Vec<Vec<i64>>> {
        self.refuse_bits(column, "lists of integers")?;
        self.lists(column, "lists of integers", |values| {
            let mut numbers = Numbers::for_type(values.data_type(), values.len())?;
            append(values, 0..values.len(), &mut numbers).ok()?;
            match numbers {
                Numbers::Integers(values) => Some(values),
                Numbers::Floats(_) => None,
            }
        })
    }

    /// What `read` makes of the values of each row's list; nothing where they are of another type.
    fn lists<T>(
        &self,
        column: &str,
        needed: &str,
        read: impl Fn(&dyn Array) -> Option<Vec<T>>,
    ) -> Result<Vec<Vec<T>>> {
        self.refuse_nulls(column)?;
        let field = self.field(column)?;
        let chunks = self.column_chunks(column)?;
        let lists = (0..self.rows).map(|row| {
            let (chunk, offset) = self.locate(row);
            let values = list_at(&chunks[chunk], offset).ok_or_else(|| self.wrong_type(field, needed))?;
            if values.logical_null_count() > 0 {
                let message = "a value of the list is missing (null): fill it or leave the row out";
                return Err(self.bad_value(row, column, message));
            }
            read(&values).ok_or_else(|| self.wrong_type(field, needed))
        });
        lists.collect()
    }

    /// The same rows with one more column, or with another in the place of one of that name (int64).
    ///
    /// The column takes 8 bytes a row of the files; nothing else is copied, unless a row is in use twice.
    ///
    /// # Errors
    /// Another number of values than of rows in use.
    pub fn with_integers(&self, column: &str, values: impl IntoIterator<Item = i64>) -> Result<Self> {
        self.with_column(column, Arc::new(Int64Array::from_iter_values(values)))
    }

    /// The same with lists of whole numbers, such as one label a word (lists of int64).
    ///
    /// # Errors
    /// As [`with_integers`](Self::with_integers).
    pub fn with_integer_lists(
        &self,
        column: &str,
        lists: impl IntoIterator<Item = Vec<i64>>,
    ) -> Result<Self> {
        let mut builder = ListBuilder::new(Int64Builder::new());
        for list in lists {
            builder.values().append_slice(&list);
            builder.append(true);
        }
        self.with_column(column, Arc::new(builder.finish()))
    }

    fn with_column(&self, column: &str, values: ArrayRef) -> Result<Self> {
        self.with_field(None, Field::new(column, values.data_type().clone(), false), values)
    }

    /// The same rows with a column of these values, one for each row in use: in the place of the column of
    /// that number, else at the end, where one of its name is replaced.
    pub(super) fn with_field(&self, place: Option<usize>, field: Field, values: ArrayRef) -> Result<Self> {
        let column = field.name();
        if values.len() != self.rows {
            let message =
                format!("{} values for column `{column}`, but there are {} rows", values.len(), self.rows);
            return Err(Error::format(self.path(), message));
        }
        let by_file_row = match self.value_of_file_row() {
            Places::AsTheyAre => values,
            Places::Of(places) => {
                take(&values, &places, None).map_err(|error| Error::format(self.path(), error))?
            }
            Places::Twice => {
                return self.copied()?.with_field(place, field, values);
            }
        };
        let ends = self.starts.iter().skip(1).map(|&start| start as usize).chain([by_file_row.len()]);
        let added = self.starts.iter().zip(ends).map(|(&start, end)| {
            let start = start as usize;
            by_file_row.slice(start, end - start)
        });
        let added = Stored::Added(added.collect());
        let mut metadata = without(self.schema().metadata(), field.name());
        let mut kept: Vec<_> =
            self.schema().fields().iter().cloned().zip(self.columns.iter().cloned()).collect();
        let added = (Arc::new(field), added);
        match place {
            Some(place) => {
                metadata = without(&metadata, kept[place].0.name());
                kept[place] = added;
            }
            None => {
                kept.retain(|(kept, _)| kept.name() != added.0.name());
                kept.push(added);
            }
        }
        let (fields, columns): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let schema = Schema::new_with_metadata(fields, metadata);
        Ok(Dataset { schema: Arc::new(schema), columns: columns.into(), ..self.clone() })
    }

    /// The rows in use as rows of a table of its own; columns that are refused stay so.
    fn copied(&self) -> Result<Self> {
        let readable: Vec<&str> =
            self.columns().into_iter().filter(|name| self.field(name).is_ok()).collect();
        let (schema, copies) = self.copies(&readable, CHUNK_ROWS)?;
        let copied = copies.collect::<Result<Vec<_>>>()?;
        let copied = Self::of_table(self.path(), Table::new(self.path(), &schema, copied, None))?;
        let of_copy = copied.clone();
        let mut made = of_copy.schema.fields().iter().cloned().zip(of_copy.columns.iter().cloned());
        let whole = self.schema.fields().iter().zip(self.columns.iter()).map(|(field, stored)| {
            let made = if readable.contains(&field.name().as_str()) { made.next() } else { None };
            made.unwrap_or_else(|| (field.clone(), stored.clone()))
        });
        let (fields, columns): (Vec<_>, Vec<Stored>) = whole.unzip();
        let schema = Schema::new_with_metadata(fields, of_copy.schema.metadata().clone());
        Ok(Dataset { schema: Arc::new(schema), columns: columns.into(), limit: self.limit, ..copied })
    }

    /// Which of the values in use belongs to each row of the files, the first where a row is not in use.
    fn value_of_file_row(&self) -> Places {
        let Some(selection) = &self.selection else { return Places::AsTheyAre };
        if selection.is_empty() {
            return Places::Twice;
        }
        let rows =
            self.parts.last().map_or(0, |part| part.first_row + part.table.chunks.iter().sum::<usize>());
        let (mut places, mut used) = (vec![0_u64; rows], vec![false; rows]);
        for (place, &row) in selection.iter().enumerate() {
            if std::mem::replace(&mut used[row as usize], true) {
                return Places::Twice;
            }
            places[row as usize] = place as u64;
        }
        Places::Of(UInt64Array::from(places))
    }

    fn numbers(&self, column: &str, needed: &str) -> Result<Numbers> {
        self.refuse_nulls(column)?;
        let field = self.field(column)?;
        let chunks = self.column_chunks(column)?;
        let half = self.half(field)?;
        let numbers = match half {
            Some(_) => Some(Numbers::Floats(Vec::with_capacity(self.rows))),
            None => Numbers::for_type(field.data_type(), self.rows),
        };
        let mut numbers = numbers.ok_or_else(|| match field.data_type() {
            DataType::FixedSizeBinary(2) => self.wrong_type(field, &format!("{needed}{BITS}")),
            _ => self.not_numbers(field, needed, needed == "integers"),
        })?;
        for row in 0..self.rows {
            let (chunk, offset) = self.locate(row);
            let (values, place) = (chunks[chunk].as_ref(), offset..offset + 1);
            match half {
                Some(half) => append_bits(values, place, half, &mut numbers),
                None => append(values, place, &mut numbers),
            }
            .map_err(|message| self.bad_value(row, column, message))?;
        }
        Ok(numbers)
    }

    /// What the column's metadata says of its two bytes.
    fn half(&self, field: &Field) -> Result<Option<Half>> {
        Half::of(field, None).map_err(|message| Error::format(self.path(), message))
    }

    /// Refuses to take two bytes of a float for an integer.
    pub(crate) fn refuse_bits(&self, column: &str, needed: &str) -> Result<()> {
        let field = self.field(column)?;
        self.half(field)?.map_or(Ok(()), |half| {
            let needed = format!("{needed}: its metadata `brew.dtype` says `{}`", half.name());
            Err(self.wrong_type(field, &needed))
        })
    }
}
