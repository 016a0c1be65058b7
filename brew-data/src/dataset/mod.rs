//! A table: chunks of Arrow columns with one schema, and the rows in use.
//!
//! A selection is a list of row numbers over the same chunks, so splits of one file share its memory (or
//! mapping), and errors still name the row of the file.

mod added;
mod cast;
mod class_numbers;
mod classes;
mod features;
mod limit;
mod open;
mod recast;
#[cfg(test)]
mod roundtrip;
mod rows;
mod shards;
mod splits;
mod text_as_numbers;
mod values;
mod vocabulary;
mod write;

pub use classes::Classes;
pub(crate) use features::with_made;
pub use limit::TooLong;
pub use recast::Recast;
pub use splits::Splits;
pub(crate) use vocabulary::of_vocabulary;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::source::schema::{ColumnPlace, Joined};
use crate::source::table::Table;

/// Rows of named columns.
///
/// Cloning is cheap: clones and selections share the data.
#[derive(Clone)]
pub struct Dataset {
    /// What errors about the whole table name: a file, a folder, or a pattern.
    path: Arc<Path>,
    schema: SchemaRef,
    /// Where each column of the schema comes from.
    columns: Arc<[ColumnOrigin]>,
    /// The files, one after another.
    parts: Arc<[Shard]>,
    /// The first row of each chunk of all files.
    starts: Arc<[u32]>,
    /// The rows in use; `None` means all, in the order of the files.
    selection: Option<Arc<[u32]>>,
    rows: usize,
    /// The maximum length of a list.
    limit: Option<(usize, TooLong)>,
}

/// Where a column comes from.
#[derive(Debug, Clone)]
enum ColumnOrigin {
    /// A column of the files.
    Opened(ColumnPlace),
    /// An added column: its values in every chunk.
    Added(Arc<[ArrayRef]>),
}

/// A file of the table.
#[derive(Debug)]
struct Shard {
    table: Table,
    first_row: usize,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Dataset")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .field("columns", &self.columns())
            .finish()
    }
}

impl Dataset {
    /// A table already in memory; errors call it `name`.
    ///
    /// # Errors
    /// No record batch, record batches with different schemas, or two columns with the same name.
    pub fn from_record_batches(name: impl AsRef<Path>, batches: Vec<RecordBatch>) -> Result<Self> {
        let name = name.as_ref();
        let Some(first) = batches.first() else { return Err(Error::NoRows { path: name.into() }) };
        let schema = first.schema();
        if let Some(other) = batches.iter().find(|batch| batch.schema() != schema) {
            let message = format!("record batches with different schemas: {schema} and {}", other.schema());
            return Err(Error::format(name, message));
        }
        Self::of_table(name, Table::new(name, &schema, batches, None))
    }

    /// A table in memory.
    fn of_table(path: &Path, table: Table) -> Result<Self> {
        Self::of(path, Joined::one(&table), vec![table])
    }

    /// Numbers the rows of the files; rejects too many rows and duplicate column names.
    fn of(path: &Path, columns: Joined, tables: Vec<Table>) -> Result<Self> {
        let Joined { schema, places } = columns;
        let mut names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::format(path, format!("there are two columns `{}`", pair[0])));
        }
        let schema = shards::one_meaning(&schema, &tables)?;
        let (mut parts, mut starts, mut rows) = (Vec::with_capacity(tables.len()), Vec::new(), 0_usize);
        for table in tables {
            let first_row = rows;
            for &chunk in &table.chunks {
                // Too many rows are rejected below, before this number is used.
                starts.push(rows as u32);
                rows = rows.saturating_add(chunk);
            }
            parts.push(Shard { table, first_row });
        }
        if u32::try_from(rows).is_err() {
            return Err(Error::format(path, format!("{rows} rows exceed the maximum of {}", u32::MAX)));
        }
        Ok(Dataset {
            path: path.into(),
            columns: places.into_iter().map(ColumnOrigin::Opened).collect(),
            schema,
            parts: parts.into(),
            starts: starts.into(),
            selection: None,
            rows,
            limit: None,
        })
    }

    /// Number of rows in use.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names of the columns, left to right.
    pub fn columns(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Names and Arrow types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The file, folder, or pattern that was opened, or the name of an in-memory table.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
