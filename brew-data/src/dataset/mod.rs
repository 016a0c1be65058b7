//! A table: chunks of Arrow columns under one schema, and the rows of it that are in use.
//!
//! A selection is a list of row numbers over the same chunks, so that splits of one file share its
//! memory (or its mapping) and errors go on naming the row of the file.

mod rows;
mod values;

pub(crate) use values::text_at;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use brew_core::batch::FromColumns;

use crate::error::{Error, Result};
use crate::loader::Loader;
use crate::parse::conll::Conll;
use crate::source::format::Format;
use crate::source::layout::Layout;
use crate::source::{self, Kind};

/// Rows of named columns.
///
/// Cheap to clone: clones and selections share the data.
#[derive(Clone)]
pub struct Dataset {
    /// What errors name: the file.
    path: Arc<Path>,
    schema: SchemaRef,
    /// Never empty ones.
    chunks: Arc<[RecordBatch]>,
    /// The first row of each chunk.
    starts: Arc<[u32]>,
    /// The rows in use, or all of them in the order of the file.
    selection: Option<Arc<[u32]>>,
    rows: usize,
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
    /// Opens a Parquet file, an Arrow IPC file, a TSV file whose first line names its columns, a file of
    /// [`Conll`] columns (`.conll`, `.bio`, `.iob`), or SQuAD's JSON (`.json`; see [`Format::Squad`]).
    ///
    /// The kind is told by the first bytes, then by the extension. Parquet and TSV are decoded into
    /// memory. An Arrow IPC file is mapped and costs no memory of its own; it must not be changed in
    /// place while it is open: a file that shrinks ends the process with a bus error when the lost
    /// part is read. Files that brew writes are replaced by renaming, which is safe.
    ///
    /// The columns of a TSV file are int64 where every value is a whole number, else float64 where
    /// every value is a number, else text. Fields are not quoted; lines end with LF or CRLF.
    ///
    /// # Errors
    /// A file that is missing, empty, damaged, cut short or of another kind; a line of text that is not
    /// UTF-8 or has another number of fields, by line and column.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (schema, chunks) = match source::kind_of(path)? {
            Kind::Parquet => source::parquet::read(path)?,
            Kind::Arrow => source::arrow::read(path)?,
            Kind::Tsv => source::tsv::read(path, None)?,
            Kind::Conll => source::text::conll(path, &Conll::new())?,
            Kind::Squad => source::text::squad(path)?,
        };
        Self::new(path, schema, chunks)
    }

    /// Opens a file of a known format, whatever it is called.
    ///
    /// By a [`Layout`], a TSV file without a header is read; of a file which says itself what it holds,
    /// the columns are checked against it.
    ///
    /// # Errors
    /// Those of [`Dataset::open`]; a value that is not of its column's type, by line and column; a
    /// column that is missing or of another type.
    pub fn open_as(path: impl AsRef<Path>, format: impl Into<Format>) -> Result<Self> {
        let path = path.as_ref();
        let (schema, chunks) = match format.into() {
            Format::Table(layout) if source::kind_of(path)? == Kind::Tsv => {
                source::tsv::read(path, Some(&layout))?
            }
            Format::Table(layout) => return Self::open(path)?.laid_out(&layout),
            Format::Conll(settings) => source::text::conll(path, &settings)?,
            Format::Squad => source::text::squad(path)?,
        };
        Self::new(path, schema, chunks)
    }

    /// Checks that the columns of a layout are there.
    fn laid_out(self, layout: &Layout) -> Result<Self> {
        let dataset = self;
        let mut problems = Vec::new();
        for field in layout.fields() {
            match dataset.field(field.name()) {
                Err(problem) => problems.push(problem),
                Ok(found) => problems.extend(
                    Layout::mismatch(field.data_type(), found.data_type())
                        .map(|needed| dataset.wrong_type(found, needed)),
                ),
            }
        }
        Error::all(problems).map(|()| dataset)
    }

    /// A table that is in memory already; `name` is what errors call it.
    ///
    /// # Errors
    /// No record batch at all, or one of another schema than the first's.
    pub fn from_record_batches(name: impl AsRef<Path>, batches: Vec<RecordBatch>) -> Result<Self> {
        let name = name.as_ref();
        let Some(first) = batches.first() else { return Err(Error::NoRows { path: name.into() }) };
        let schema = first.schema();
        if let Some(other) = batches.iter().find(|batch| batch.schema() != schema) {
            let message = format!("record batches of different schemas: {schema} and {}", other.schema());
            return Err(Error::format(name, message));
        }
        Self::new(name, schema, batches)
    }

    /// Numbers the rows of the chunks; refuses what cannot be numbered or told apart.
    pub(crate) fn new(path: &Path, schema: SchemaRef, mut chunks: Vec<RecordBatch>) -> Result<Self> {
        let mut names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::format(path, format!("there are two columns `{}`", pair[0])));
        }
        chunks.retain(|chunk| chunk.num_rows() > 0);
        let rows = chunks.iter().map(RecordBatch::num_rows).sum::<usize>();
        if u32::try_from(rows).is_err() {
            return Err(Error::format(path, format!("{rows} rows are more than the {} that fit", u32::MAX)));
        }
        let starts = chunks.iter().scan(0_u32, |next, chunk| {
            let start = *next;
            *next += chunk.num_rows() as u32;
            Some(start)
        });
        Ok(Dataset {
            path: path.into(),
            starts: starts.collect(),
            chunks: chunks.into(),
            schema,
            selection: None,
            rows,
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

    /// The file, or the name of a table in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Batches of type `B`, `size` rows each, in the order of the file until
    /// [`Loader::shuffled`] says otherwise.
    ///
    /// Nothing is checked or read yet: see [`Loader::check`].
    pub fn batches<B: FromColumns>(&self, size: usize) -> Loader<B> {
        Loader::new(self.clone(), size)
    }
}
