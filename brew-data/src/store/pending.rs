//! Rows that wait for their block.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::builder::{LargeBinaryBuilder, ListBuilder, UInt32Builder};
use arrow_array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, Field, Schema};
use brew_core::cache::{Part, Row, RowKey, dtype};

/// The next block.
#[derive(Debug, Default)]
pub(super) struct Pending {
    keys: Vec<RowKey>,
    known: HashSet<RowKey>,
    tokens: Vec<u32>,
    lengths: Vec<u32>,
    columns: Vec<Column>,
    /// Bytes of values.
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Column {
    field: Field,
    values: LargeBinaryBuilder,
    shapes: ListBuilder<UInt32Builder>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the row has the tensors of the others, so that it can stand in one block with them.
    pub(super) fn fits(&self, row: &Row<'_>) -> bool {
        self.is_empty()
            || (self.columns.len() == row.parts.len()
                && self.columns.iter().zip(&row.parts).all(|(column, part)| column.field == field(part)))
    }

    /// Adds a row, unless it waits already.
    pub(super) fn push(&mut self, key: RowKey, row: &Row<'_>) {
        if !self.known.insert(key) {
            return;
        }
        if self.keys.is_empty() {
            self.columns = row.parts.iter().map(Column::new).collect();
        }
        self.keys.push(key);
        self.tokens.push(row.tokens as u32);
        self.lengths.push(row.length as u32);
        for (column, part) in self.columns.iter_mut().zip(&row.parts) {
            column.values.append_value(&part.bytes);
            part.shape.iter().for_each(|size| column.shapes.values().append_value(*size as u32));
            column.shapes.append(true);
        }
        self.bytes += row.size();
    }

    /// The block's rows and their keys; nothing waits any more.
    pub(super) fn take(&mut self) -> Result<(RecordBatch, Vec<RowKey>), ArrowError> {
        let Pending { keys, tokens, lengths, columns, .. } = std::mem::take(self);
        let names = FixedSizeBinaryArray::try_from_iter(keys.iter().map(|key| key.0))?;
        let mut arrays: Vec<(Field, ArrayRef)> = vec![
            plain("key", Arc::new(names)),
            plain("tokens", Arc::new(UInt32Array::from(tokens))),
            plain("length", Arc::new(UInt32Array::from(lengths))),
        ];
        for mut column in columns {
            let shapes = plain(&format!("{}.shape", column.field.name()), Arc::new(column.shapes.finish()));
            arrays.push((column.field, Arc::new(column.values.finish())));
            arrays.push(shapes);
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = arrays.into_iter().unzip();
        Ok((RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, keys))
    }
}

impl Column {
    fn new(part: &Part<'_>) -> Self {
        Column {
            field: field(part),
            values: LargeBinaryBuilder::new(),
            shapes: ListBuilder::new(UInt32Builder::new()),
        }
    }
}

fn plain(name: &str, array: ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), false), array)
}

/// The field of a tensor: its bytes, and in its metadata what they are.
fn field(part: &Part<'_>) -> Field {
    let cut: Vec<String> = part.cut.iter().map(ToString::to_string).collect();
    let name = |kind| dtype::name(kind).unwrap_or("unknown").to_owned();
    Field::new(part.name.as_ref(), arrow_schema::DataType::LargeBinary, false).with_metadata(HashMap::from([
        ("dtype".to_owned(), name(part.kind)),
        ("given".to_owned(), name(part.given)),
        ("cut".to_owned(), cut.join(",")),
    ]))
}
