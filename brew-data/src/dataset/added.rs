//! Adds plain Rust values as a column, or replaces a column with them.

use std::sync::Arc;

use arrow::array::builder::{Int64Builder, ListBuilder};
use arrow::array::{Array, ArrayRef, Int64Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};

use super::features::without;
use super::{ColumnOrigin, Dataset};
use crate::error::{Error, Result};
use crate::source::table::Table;

/// Rows copied at once when a column is added.
const CHUNK_ROWS: usize = 8192;

/// Which value belongs to each row of the files.
enum Places {
    /// Every row is in use, in the order of the files.
    AsTheyAre,
    /// The number of the value for each row of the files.
    Of(UInt64Array),
    /// A row is in use twice, or no row is: the rows must be copied first.
    Twice,
}

impl Dataset {
    /// Adds a column of whole numbers (int64), or replaces the column with this name.
    ///
    /// The column takes 8 bytes per row of the files. Nothing else is copied unless a row is in use twice.
    ///
    /// # Errors
    /// The number of values differs from the number of rows in use.
    pub fn with_integers(&self, column: &str, values: impl IntoIterator<Item = i64>) -> Result<Self> {
        self.with_column(column, Arc::new(Int64Array::from_iter_values(values)))
    }

    /// As [`with_integers`](Self::with_integers), with lists of whole numbers, such as one label per word
    /// (lists of int64).
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

    /// Adds a column with one value per row in use: at `place` if given, otherwise at the end. A column with
    /// the same name is replaced.
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
        let added = ColumnOrigin::Added(added.collect());
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

    /// Copies the rows in use into a table of their own; unreadable columns stay unreadable.
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
        let (fields, columns): (Vec<_>, Vec<ColumnOrigin>) = whole.unzip();
        let schema = Schema::new_with_metadata(fields, of_copy.schema.metadata().clone());
        Ok(Dataset { schema: Arc::new(schema), columns: columns.into(), limit: self.limit, ..copied })
    }

    /// Which value belongs to each row of the files; rows that are not in use get the first.
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
}
