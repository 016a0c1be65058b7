//! Rows waiting for their block. They can be found like those in blocks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::builder::{LargeBinaryBuilder, ListBuilder, UInt32Builder};
use arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use brew_core::cache::{Row, RowKey, RowPart, dtype};

/// The next block.
#[derive(Debug, Default)]
pub(super) struct Pending {
    rows: Vec<(RowKey, Arc<Row<'static>>)>,
    places: HashMap<RowKey, usize>,
    /// Bytes of values.
    pub(super) bytes: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A waiting row.
    pub(super) fn get(&self, key: &RowKey) -> Option<Arc<Row<'static>>> {
        self.places.get(key).and_then(|place| self.rows.get(*place)).map(|(_, row)| row.clone())
    }

    /// Whether the row has the same tensors as the others, so that it fits into their block.
    pub(super) fn fits(&self, row: &Row<'_>) -> bool {
        self.rows.first().is_none_or(|(_, first)| {
            first.parts.len() == row.parts.len()
                && first.parts.iter().zip(&row.parts).all(|(first, part)| field(first) == field(part))
        })
    }

    /// Adds a row, unless it is already waiting.
    pub(super) fn push(&mut self, key: RowKey, row: Row<'_>) {
        if let std::collections::hash_map::Entry::Vacant(place) = self.places.entry(key) {
            place.insert(self.rows.len());
            self.bytes += row.size();
            self.rows.push((key, Arc::new(row.into_owned())));
        }
    }

    /// Takes all waiting rows and their keys, for a block.
    pub(super) fn take(&mut self) -> Result<(RecordBatch, Vec<RowKey>), ArrowError> {
        let Pending { rows, .. } = std::mem::take(self);
        let names = FixedSizeBinaryArray::try_from_iter(rows.iter().map(|(key, _)| key.0))?;
        let extents = |extent: &dyn Fn(&Row<'_>) -> usize| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, row)| Some(extent(row) as u32)).collect::<UInt32Array>())
        };
        let mut arrays: Vec<(Field, ArrayRef)> = vec![
            plain("key", Arc::new(names)),
            plain("tokens", extents(&|row| row.tokens)),
            plain("length", extents(&|row| row.length)),
        ];
        let fields: Vec<Field> =
            rows.first().iter().flat_map(|(_, row)| row.parts.iter().map(field)).collect();
        for (index, field) in fields.into_iter().enumerate() {
            let mut values = LargeBinaryBuilder::new();
            let mut shapes = ListBuilder::new(UInt32Builder::new());
            for part in rows.iter().filter_map(|(_, row)| row.parts.get(index)) {
                values.append_value(&part.bytes);
                part.shape.iter().for_each(|size| shapes.values().append_value(*size as u32));
                shapes.append(true);
            }
            let shapes = plain(&format!("{}.shape", field.name()), Arc::new(shapes.finish()));
            arrays.push((field, Arc::new(values.finish())));
            arrays.push(shapes);
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = arrays.into_iter().unzip();
        let keys = rows.into_iter().map(|(key, _)| key).collect();
        Ok((RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?, keys))
    }
}

fn plain(name: &str, array: ArrayRef) -> (Field, ArrayRef) {
    (Field::new(name, array.data_type().clone(), false), array)
}

/// The field of a tensor's bytes, described in its metadata.
fn field(part: &RowPart<'_>) -> Field {
    let cut: Vec<String> = part.cut.iter().map(ToString::to_string).collect();
    let name = |kind| dtype::name(kind).unwrap_or("unknown").to_owned();
    Field::new(part.name.as_ref(), arrow::datatypes::DataType::LargeBinary, false).with_metadata(
        HashMap::from([
            ("dtype".to_owned(), name(part.kind)),
            ("given".to_owned(), name(part.given)),
            ("cut".to_owned(), cut.join(",")),
        ]),
    )
}
