//! One file as a table: the row counts of its chunks, and its columns on demand.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::mapping::Mapping;
use crate::error::{Error, Result};

/// A file's rows and columns. A struct column becomes one column per member, `outer.inner`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) path: Arc<Path>,
    pub(crate) schema: SchemaRef,
    /// The number of rows of each chunk, never 0.
    pub(crate) chunks: Vec<usize>,
    columns: ColumnData,
    leaves: Vec<Leaf>,
    mapping: Option<Mapping>,
}

/// Where the columns come from.
#[derive(Debug)]
enum ColumnData {
    /// Record batches, in memory or mapped.
    Ready(Vec<RecordBatch>),
    /// Columns decoded when they are first used.
    Encoded(Box<dyn EncodedColumns>),
}

/// Columns as a file stores them.
pub(crate) trait EncodedColumns: fmt::Debug + Send + Sync {
    /// The column of every chunk, decoded the first time.
    ///
    /// # Errors
    /// A file that is damaged, or cannot be read.
    fn column(&self, index: usize) -> Result<Vec<ArrayRef>>;
}

/// A column as a member of a stored column.
#[derive(Debug)]
struct Leaf {
    column: usize,
    /// The member index at each struct level.
    members: Vec<usize>,
}

impl Table {
    /// A table of record batches with one schema.
    pub(crate) fn new(
        path: &Path,
        schema: &SchemaRef,
        mut chunks: Vec<RecordBatch>,
        mapping: Option<Mapping>,
    ) -> Self {
        chunks.retain(|chunk| chunk.num_rows() > 0);
        let rows = chunks.iter().map(RecordBatch::num_rows).collect();
        Self::of(path, schema, rows, ColumnData::Ready(chunks), mapping)
    }

    /// A table of columns decoded when they are first used; `rows` gives the rows of each chunk.
    pub(crate) fn encoded(
        path: &Path,
        schema: &SchemaRef,
        rows: Vec<usize>,
        columns: impl EncodedColumns + 'static,
    ) -> Self {
        Self::of(path, schema, rows, ColumnData::Encoded(Box::new(columns)), None)
    }

    fn of(
        path: &Path,
        schema: &SchemaRef,
        chunks: Vec<usize>,
        columns: ColumnData,
        mapping: Option<Mapping>,
    ) -> Self {
        let mut flat = (Vec::new(), Vec::new());
        for (column, field) in schema.fields().iter().enumerate() {
            flatten(
                field,
                field.name().clone(),
                field.is_nullable(),
                &Leaf { column, members: Vec::new() },
                &mut flat,
            );
        }
        let schema = Arc::new(Schema::new_with_metadata(flat.0, schema.metadata().clone()));
        Table { path: path.into(), schema, chunks, columns, leaves: flat.1, mapping }
    }

    /// The column of every chunk.
    ///
    /// # Errors
    /// The column cannot be decoded.
    pub(crate) fn column(&self, index: usize) -> Result<Vec<ArrayRef>> {
        let leaf = &self.leaves[index];
        let whole: Vec<ArrayRef> = match &self.columns {
            ColumnData::Ready(chunks) => {
                chunks.iter().map(|chunk| chunk.column(leaf.column).clone()).collect()
            }
            ColumnData::Encoded(columns) => columns.column(leaf.column)?,
        };
        let members = whole.into_iter().map(|array| leaf.of(array));
        members.collect::<Result<_, _>>().map_err(|error| Error::format(&*self.path, error))
    }

    /// Fails if the file has shrunk since it was mapped.
    pub(crate) fn check_length(&self) -> Result<()> {
        self.mapping.as_ref().map_or(Ok(()), Mapping::check)
    }
}

fn flatten(field: &Field, name: String, nullable: bool, leaf: &Leaf, flat: &mut (Vec<Field>, Vec<Leaf>)) {
    let DataType::Struct(members) = field.data_type() else {
        flat.0.push(field.clone().with_name(name).with_nullable(nullable));
        flat.1.push(Leaf { column: leaf.column, members: leaf.members.clone() });
        return;
    };
    for (index, member) in members.iter().enumerate() {
        let members = leaf.members.iter().copied().chain([index]).collect();
        let nested = Leaf { column: leaf.column, members };
        let name = format!("{name}.{}", member.name());
        flatten(member, name, nullable || member.is_nullable(), &nested, flat);
    }
}

impl Leaf {
    /// The member's array, null wherever an enclosing struct is.
    fn of(&self, mut array: ArrayRef) -> Result<ArrayRef, ArrowError> {
        for &member in &self.members {
            let outer = array.as_struct();
            let inner = outer.column(member).clone();
            array = match outer.nulls() {
                Some(nulls) if nulls.null_count() > 0 && *inner.data_type() != DataType::Null => {
                    let nulls = NullBuffer::union(Some(nulls), inner.nulls());
                    make_array(inner.to_data().into_builder().nulls(nulls).build()?)
                }
                _ => inner,
            };
        }
        Ok(array)
    }
}
