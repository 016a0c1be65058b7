//! The columns of several files as those of one table, and those of them that do not go together.
//!
//! Columns are found by name: files may have them in another order. One that is narrower in some files (int32
//! and int64, string and large_string) has the wider type. One that only some files have, or whose types do not
//! go together, is refused when it is used, and not before.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::table::Table;
use super::wider::wider;
use crate::arrays::half::Half;
use crate::error::Error;

/// Why a column cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) path: PathBuf,
    /// The line of a text file that shows it.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

/// Where a column of the whole comes from.
#[derive(Debug, Clone)]
pub(crate) enum ColumnPlace {
    /// The number of the column in each file.
    InFiles(Arc<[usize]>),
    /// Nowhere: it cannot be read.
    Refused(Arc<Refused>),
}

/// The columns of all files.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) schema: SchemaRef,
    /// Where each comes from.
    pub(crate) places: Vec<ColumnPlace>,
}

impl Refused {
    /// The error of whoever uses the column of this name.
    pub(crate) fn error(&self, column: &str) -> Error {
        let Refused { path, line, message } = self.clone();
        match line {
            Some(line) => Error::Field { path, line, column: column.to_owned(), message },
            None => Error::Format { path, message },
        }
    }
}

impl Joined {
    /// The columns of one table.
    pub(crate) fn one(table: &Table) -> Self {
        Self::of(std::slice::from_ref(table), Vec::new())
    }

    /// The columns of all tables; `refused` says of those of text files why they cannot be read.
    pub(crate) fn of(tables: &[Table], refused: Vec<Option<Refused>>) -> Self {
        let Some(first) = tables.first() else {
            return Joined { schema: Arc::new(Schema::empty()), places: Vec::new() };
        };
        let mut joined = Vec::with_capacity(first.schema.fields().len());
        for (number, field) in first.schema.fields().iter().enumerate() {
            joined.push(match refused.get(number).cloned().flatten() {
                Some(refused) => (field.as_ref().clone(), ColumnPlace::Refused(Arc::new(refused))),
                // A name that one file has twice is refused with the whole table.
                None if tables.len() == 1 => (field.as_ref().clone(), ColumnPlace::InFiles([number].into())),
                None => one_column(tables, field),
            });
        }
        for (number, table) in tables.iter().enumerate().skip(1) {
            for field in table.schema.fields() {
                let is_known = |earlier: &Table| earlier.schema.column_with_name(field.name()).is_some();
                if !tables[..number].iter().any(is_known) {
                    joined.push(absent(field.name(), &tables[0], table));
                }
            }
        }
        let (fields, places): (Vec<Field>, Vec<ColumnPlace>) = joined.into_iter().unzip();
        let metadata = first.schema.metadata().clone();
        Joined { schema: Arc::new(Schema::new_with_metadata(fields, metadata)), places }
    }
}

/// A column of the first table in all of them. Where it holds nothing but nulls, it takes the type of others.
fn one_column(tables: &[Table], field: &Field) -> (Field, ColumnPlace) {
    let (mut joined, mut typed) = (field.clone(), &tables[0]);
    let mut numbers = Vec::with_capacity(tables.len());
    for table in tables {
        let Some((number, other)) = table.schema.column_with_name(field.name()) else {
            return absent(field.name(), table, &tables[0]);
        };
        numbers.push(number);
        let nullable = joined.is_nullable() || other.is_nullable() || *other.data_type() == DataType::Null;
        if *joined.data_type() == DataType::Null {
            (joined, typed) = (other.clone(), table);
        } else if *other.data_type() != DataType::Null {
            // Two bytes that stand for a float are no integers to be widened.
            let is_bits = |field: &Field| !matches!(Half::of(field, None), Ok(None));
            let same = joined.data_type().equals_datatype(other.data_type());
            let wider = match same || is_bits(&joined) || is_bits(other) {
                true => same.then(|| joined.data_type().clone()),
                false => wider(joined.data_type(), other.data_type()),
            };
            if let Some(wider) = wider {
                joined.set_nullable(nullable);
                joined.set_data_type(wider);
                continue;
            }
            let message = format!(
                "the column `{}` is {}, but {} in {}: write all files with one type",
                field.name(),
                other.data_type(),
                joined.data_type(),
                typed.path.display()
            );
            return refused(field.name(), table, message);
        }
        joined.set_nullable(nullable);
    }
    (joined, ColumnPlace::InFiles(numbers.into()))
}

/// A column that one file lacks and another has.
fn absent(name: &str, without: &Table, with: &Table) -> (Field, ColumnPlace) {
    refused(name, without, format!("there is no column `{name}`, which {} has", with.path.display()))
}

fn refused(name: &str, table: &Table, message: String) -> (Field, ColumnPlace) {
    let refused = Refused { path: table.path.to_path_buf(), line: None, message };
    (Field::new(name, DataType::Null, true), ColumnPlace::Refused(Arc::new(refused)))
}
