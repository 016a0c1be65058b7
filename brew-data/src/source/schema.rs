//! Joins the columns of several files into one schema, and notes the columns that cannot be joined.
//!
//! Columns are matched by name, in any order. A column that is narrower in some files (int32 and int64,
//! string and large_string) gets the wider type. A column missing from some files, or with incompatible
//! types, is rejected only when it is used.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::table::Table;
use super::wider::wider;
use crate::arrays::half::Half;
use crate::error::Error;
use crate::parse::columns::{is_json, type_in_words};

/// Why a column cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) path: PathBuf,
    /// The line of a text file, if it is known.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

/// Where a column of the joined table comes from.
#[derive(Debug, Clone)]
pub(crate) enum ColumnPlace {
    /// The number of the column in each file.
    InFiles(Arc<[usize]>),
    /// The column cannot be read.
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
    /// The error for using the column with this name.
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

    /// The columns of all tables; `refused` says why columns of text files cannot be read.
    pub(crate) fn of(tables: &[Table], refused: Vec<Option<Refused>>) -> Self {
        let Some(first) = tables.first() else {
            return Joined { schema: Arc::new(Schema::empty()), places: Vec::new() };
        };
        let mut joined = Vec::with_capacity(first.schema.fields().len());
        for (number, field) in first.schema.fields().iter().enumerate() {
            joined.push(match refused.get(number).cloned().flatten() {
                Some(refused) => (field.as_ref().clone(), ColumnPlace::Refused(Arc::new(refused))),
                // A duplicate name within one file is rejected with the whole table.
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

/// Joins a column of the first table across all tables. A file with nothing but nulls takes the type of the
/// others.
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
            // Two-byte floats stored as integers must not be widened, and JSON is not text.
            let is_bits = |field: &Field| !matches!(Half::of(field, None), Ok(None));
            let alike = is_json(&joined) == is_json(other);
            let same = alike && joined.data_type().equals_datatype(other.data_type());
            let wider = match same || !alike || is_bits(&joined) || is_bits(other) {
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
                type_in_words(other),
                type_in_words(&joined),
                typed.path.display()
            );
            return refused(field.name(), table, message);
        }
        joined.set_nullable(nullable);
    }
    (joined, ColumnPlace::InFiles(numbers.into()))
}

/// A column missing from one file.
fn absent(name: &str, without: &Table, with: &Table) -> (Field, ColumnPlace) {
    refused(name, without, format!("there is no column `{name}`, which {} has", with.path.display()))
}

fn refused(name: &str, table: &Table, message: String) -> (Field, ColumnPlace) {
    let refused = Refused { path: table.path.to_path_buf(), line: None, message };
    (Field::new(name, DataType::Null, true), ColumnPlace::Refused(Arc::new(refused)))
}
