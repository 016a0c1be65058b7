//! The rows of a block: finds its columns by name, and checks the sizes of every row against its bytes.
//!
//! A row's sizes decide how much memory a batch takes, so the sizes in a [`Block`] are safe to multiply.

use arrow::array::cast::AsArray as _;
use arrow::array::{Array as _, LargeBinaryArray, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::Buffer;
use arrow::datatypes::UInt32Type;

use super::keys::Key;
use crate::parse::ipc::Index;

/// The maximum bytes that the sizes of an empty row may imply: a row of 0 tokens still has a width.
const LARGEST_EMPTY: usize = 1 << 24;

/// The rows of a block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) keys: Vec<Key>,
    pub(crate) columns: Vec<TensorColumn>,
    tokens: UInt32Array,
    lengths: UInt32Array,
}

/// One tensor of every row.
#[derive(Debug)]
pub(crate) struct TensorColumn {
    /// Role and layer, or role and place in its list: `hidden/2`.
    pub(crate) name: String,
    /// The dtype it is stored in.
    pub(crate) dtype: String,
    /// The dtype that the teacher returned.
    pub(crate) given: String,
    /// The dimensions cut to the row's tokens.
    pub(crate) cut: Vec<usize>,
    values: LargeBinaryArray,
    shapes: ListArray,
}

impl Block {
    /// Reads the rows from the bytes of an Arrow IPC file; `width` gives the bytes per value of a dtype.
    ///
    /// # Errors
    /// The bytes are not an Arrow IPC file with one record batch, the columns differ, or a row's sizes do not
    /// match its values.
    pub(crate) fn read(bytes: &Buffer, width: impl Fn(&str) -> Option<usize>) -> Result<Self, String> {
        let mut batches = Vec::new();
        Index::of(bytes)?.decode(bytes, |batch| {
            batches.push(batch);
            if batches.len() > 1 { Err("it is more than one record batch".to_owned()) } else { Ok(()) }
        })?;
        let batch = batches.first().ok_or("it has no record batch")?;
        let block = Block::of(batch).ok_or("its columns are not those of a teacher cache")?;
        block.columns.iter().try_for_each(|column| column.check(&width))?;
        Ok(block)
    }

    fn of(batch: &RecordBatch) -> Option<Self> {
        let number = |name| Some(batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>()?.clone());
        let keys = batch.column_by_name("key")?.as_fixed_size_binary_opt()?;
        let keys = keys.iter().map(|key| key?.try_into().ok()).collect::<Option<_>>()?;
        let schema = batch.schema();
        let column = |name: &str| {
            let metadata = schema.field_with_name(name).ok()?.metadata();
            let cut = metadata.get("cut")?.split(',').filter(|text| !text.is_empty());
            let shapes = batch.column_by_name(&format!("{name}.shape"))?.as_list_opt::<i32>()?;
            shapes.values().as_primitive_opt::<UInt32Type>()?;
            Some(TensorColumn {
                name: name.to_owned(),
                dtype: metadata.get("dtype")?.clone(),
                given: metadata.get("given")?.clone(),
                cut: cut.map(|text| text.parse().ok()).collect::<Option<_>>()?,
                values: batch.column_by_name(name)?.as_binary_opt::<i64>()?.clone(),
                shapes: shapes.clone(),
            })
        };
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let columns = names.filter(|name| name.contains('/') && !name.ends_with(".shape")).map(column);
        let columns = columns.collect::<Option<_>>()?;
        Some(Block { keys, columns, tokens: number("tokens")?, lengths: number("length")? })
    }

    /// The number of positions of a row that are not padding, and its padded length.
    pub(crate) fn extent(&self, row: usize) -> (usize, usize) {
        (self.tokens.value(row) as usize, self.lengths.value(row) as usize)
    }
}

impl TensorColumn {
    /// The values of a row.
    pub(crate) fn bytes(&self, row: usize) -> &[u8] {
        self.values.value(row)
    }

    /// The sizes of a row's tensor.
    pub(crate) fn shape(&self, row: usize) -> Vec<usize> {
        let offsets = self.shapes.value_offsets();
        let sizes = self.shapes.values().as_primitive::<UInt32Type>().values();
        sizes[offsets[row] as usize..offsets[row + 1] as usize].iter().map(|size| *size as usize).collect()
    }

    fn check(&self, width: impl Fn(&str) -> Option<usize>) -> Result<(), String> {
        let bytes = [&self.dtype, &self.given].map(|dtype| {
            width(dtype).ok_or_else(|| format!("`{}` has the unknown dtype `{dtype}`", self.name))
        });
        let [width, given] = bytes;
        let (width, _) = (width?, given?);
        for row in 0..self.values.len() {
            let (shape, bytes) = (self.shape(row), self.bytes(row).len());
            let claimed = shape.iter().try_fold(width, |bytes, size| bytes.checked_mul(*size));
            // A size of 0 must not hide large ones, for which a batch would allocate memory.
            let largest = shape.iter().try_fold(width, |bytes, size| bytes.checked_mul(1.max(*size)));
            if claimed != Some(bytes) || (bytes == 0 && largest.is_none_or(|largest| largest > LARGEST_EMPTY))
            {
                return Err(format!(
                    "row {row} of `{}` has {bytes} bytes, which are not {shape:?} values of {}",
                    self.name, self.dtype
                ));
            }
        }
        Ok(())
    }
}
