//! Reads columns as plain Rust values: for labels, splits, and filters.

use arrow::array::Array;
use arrow::datatypes::{DataType, Field};

use super::Dataset;
use crate::arrays::half::{Half, append_bits};
use crate::arrays::lists::list_at;
use crate::arrays::numbers::{Numbers, append};
use crate::arrays::text::text_at;
use crate::error::{Error, Result};

/// Whole numbers up to it are exact in float64.
const LARGEST_EXACT: u64 = 1 << 53;

/// How to declare what two bytes mean.
const BITS: &str =
    "; two-byte values are numbers if the column's metadata `brew.dtype` is `float16` or `bfloat16`";

impl Dataset {
    /// Reads a column of whole numbers (any integer type, or bool as 0 and 1): one value per row in use.
    ///
    /// # Errors
    /// The column is missing or has another type, a value is missing, or a value does not fit int64.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>> {
        self.refuse_bits(column, "integers")?;
        match self.numbers(column, "integers")? {
            Numbers::Integers(values) => Ok(values),
            Numbers::Floats(_) => Err(self.wrong_type(self.field(column)?, "integers")),
        }
    }

    /// Reads a column of numbers (any integer or float type, or two bytes if the column's metadata
    /// `brew.dtype` is `float16` or `bfloat16`): one value per row in use.
    ///
    /// # Errors
    /// The column is missing or has another type, a value is missing, or float64 would round an integer.
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

    /// Reads a column of text: one value per row in use. Lists of objects that were read from JSON are their JSON
    /// text.
    ///
    /// # Errors
    /// The column is missing or has another type, or a value is missing.
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

    /// Reads a column of lists of text, such as the tokens of sentences: one list per row in use.
    ///
    /// # Errors
    /// The column is missing or has another type, or a value is missing.
    pub fn text_lists(&self, column: &str) -> Result<Vec<Vec<String>>> {
        self.lists(column, "lists of text", |values| {
            (0..values.len()).map(|index| text_at(values, index).map(str::to_owned)).collect()
        })
    }

    /// Reads a column of lists of whole numbers (any integer type): one list per row in use.
    ///
    /// # Errors
    /// The column is missing or has another type, a value is missing, or a value does not fit int64.
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

    /// Applies `read` to the values of each row's list; it returns `None` for another type.
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
                let message = "a value of the list is missing (null): fill it or drop the row";
                return Err(self.bad_value(row, column, message));
            }
            read(&values).ok_or_else(|| self.wrong_type(field, needed))
        });
        lists.collect()
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

    /// What the column's metadata says its two bytes mean.
    fn half(&self, field: &Field) -> Result<Option<Half>> {
        Half::of(field, None).map_err(|message| Error::format(self.path(), message))
    }

    /// Rejects reading the two bytes of a float as an integer.
    pub(crate) fn refuse_bits(&self, column: &str, needed: &str) -> Result<()> {
        let field = self.field(column)?;
        self.half(field)?.map_or(Ok(()), |half| {
            let needed = format!("{needed}: its metadata `brew.dtype` says `{}`", half.name());
            Err(self.wrong_type(field, &needed))
        })
    }
}
