//! Columns as plain Rust values, and plain Rust values as a column: for labels, splits and filters.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_schema::{DataType, Field, Schema};

use super::{Dataset, Stored};
use crate::error::{Error, Result};
use crate::loader::numbers::{Numbers, append};
use crate::source::table::Table;

/// Rows copied at once when a column is added.
const CHUNK_ROWS: usize = 8192;

impl Dataset {
    /// A column of whole numbers (any integer type, or bool as 0 and 1), one value a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, a missing value, or one outside int64.
    pub fn integers(&self, column: &str) -> Result<Vec<i64>> {
        match self.numbers(column, "integers")? {
            Numbers::Integers(values) => Ok(values),
            Numbers::Floats(_) => Err(self.wrong_type(self.field(column)?, "integers")),
        }
    }

    /// A column of numbers (any integer or float type), one value a row in use.
    ///
    /// # Errors
    /// No such column, one of another type, or a missing value.
    pub fn floats(&self, column: &str) -> Result<Vec<f64>> {
        match self.numbers(column, "numbers")? {
            Numbers::Integers(values) => Ok(values.into_iter().map(|value| value as f64).collect()),
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
        let values: Vec<i64> = values.into_iter().collect();
        if values.len() != self.rows {
            let message =
                format!("{} values for column `{column}`, but there are {} rows", values.len(), self.rows);
            return Err(Error::format(self.path(), message));
        }
        let Some(values) = self.by_file_row(values.clone()) else {
            let (schema, copies) = self.copies(&self.columns(), CHUNK_ROWS)?;
            let copied = copies.collect::<Result<Vec<_>>>()?;
            let table = Table::new(self.path(), &schema, copied, None);
            return Self::of(self.path(), schema, vec![table])?.with_integers(column, values);
        };
        let ends = self.starts.iter().skip(1).map(|&start| start as usize).chain([values.len()]);
        let added = self.starts.iter().zip(ends).map(|(&start, end)| {
            Arc::new(Int64Array::from(values[start as usize..end].to_vec())) as ArrayRef
        });
        let added = Stored::Added(added.collect());
        let kept = self.schema().fields().iter().zip(self.columns.iter());
        let kept = kept.filter(|(field, _)| field.name() != column);
        let (mut fields, mut columns): (Vec<_>, Vec<_>) =
            kept.map(|(field, stored)| (field.clone(), stored.clone())).unzip();
        fields.push(Arc::new(Field::new(column, DataType::Int64, false)));
        columns.push(added);
        let schema = Schema::new_with_metadata(fields, self.schema().metadata().clone());
        Ok(Dataset { schema: Arc::new(schema), columns: columns.into(), ..self.clone() })
    }

    /// The values by row of the files, 0 where a row is not in use; nothing where one is in use twice.
    fn by_file_row(&self, values: Vec<i64>) -> Option<Vec<i64>> {
        let Some(selection) = &self.selection else { return Some(values) };
        let rows =
            self.parts.last().map_or(0, |part| part.first_row + part.table.chunks.iter().sum::<usize>());
        let (mut by_row, mut used) = (vec![0; rows], vec![false; rows]);
        for (&row, value) in selection.iter().zip(values) {
            if std::mem::replace(&mut used[row as usize], true) {
                return None;
            }
            by_row[row as usize] = value;
        }
        Some(by_row)
    }

    fn numbers(&self, column: &str, needed: &str) -> Result<Numbers> {
        self.refuse_nulls(column)?;
        let field = self.field(column)?;
        let chunks = self.column_chunks(column)?;
        let mut numbers =
            Numbers::for_type(field.data_type(), self.rows).ok_or_else(|| self.wrong_type(field, needed))?;
        for row in 0..self.rows {
            let (chunk, offset) = self.locate(row);
            append(chunks[chunk].as_ref(), offset..offset + 1, &mut numbers)
                .map_err(|message| self.bad_value(row, column, message))?;
        }
        Ok(numbers)
    }
}

/// The values of a row's list; nothing where the column is not one of lists.
fn list_at(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// The text of a row; nothing where the column is not text.
pub(crate) fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let mut key = Numbers::Integers(Vec::new());
            append(dictionary.keys(), row..row + 1, &mut key).ok()?;
            match key {
                Numbers::Integers(key) => text_at(dictionary.values(), usize::try_from(*key.first()?).ok()?),
                Numbers::Floats(_) => None,
            }
        }
        _ => None,
    }
}
