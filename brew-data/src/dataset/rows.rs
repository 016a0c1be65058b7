//! The rows of a table: which are in use, where they are stored, and copies of them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::{ColumnOrigin, Dataset};
use crate::error::{Error, Result};
use crate::parse::columns::type_in_words;
use crate::source::schema::ColumnPlace;
use crate::source::unpack::{unpacked, unpacked_field};

impl Dataset {
    /// Selects rows, in this order; a row may be selected more than once.
    ///
    /// Rows are counted from 0 among the rows in use. Nothing is copied.
    ///
    /// # Errors
    /// A row out of range.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let selection = rows.iter().map(|&row| {
            if row < self.rows {
                return Ok(self.file_row(row) as u32);
            }
            let message = format!("the selected row {row} is out of range 0..{}", self.rows);
            Err(Error::format(self.path(), message))
        });
        let selection = selection.collect::<Result<Arc<[u32]>>>()?;
        Ok(Dataset { selection: Some(selection), rows: rows.len(), ..self.clone() })
    }

    /// The row of the file for a row in use.
    pub(crate) fn file_row(&self, row: usize) -> usize {
        self.selection.as_ref().map_or(row, |selection| selection[row] as usize)
    }

    /// The chunk of a row in use, and its row within the chunk.
    pub(crate) fn locate(&self, row: usize) -> (usize, usize) {
        let row = self.file_row(row);
        let chunk = self.starts.partition_point(|&start| start as usize <= row).saturating_sub(1);
        (chunk, row - self.starts[chunk] as usize)
    }

    /// The file of a row in use and its row in that file, for errors.
    pub(crate) fn place(&self, row: usize) -> (&Path, usize) {
        let row = self.file_row(row);
        let part = self.parts.partition_point(|part| part.first_row <= row).saturating_sub(1);
        self.parts.get(part).map_or((self.path(), row), |part| (&*part.table.path, row - part.first_row))
    }

    /// Fails if a mapped file has shrunk.
    pub(crate) fn check_lengths(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.table.check_length())
    }

    /// A column of every chunk, in order.
    pub(crate) fn column_chunks(&self, name: &str) -> Result<Vec<ArrayRef>> {
        match &self.columns[self.index(name)?] {
            ColumnOrigin::Added(chunks) => Ok(chunks.to_vec()),
            ColumnOrigin::Opened(ColumnPlace::InFiles(numbers)) => {
                let mut chunks = Vec::with_capacity(self.starts.len());
                let data_type = self.field(name)?.data_type();
                for (part, number) in self.parts.iter().zip(numbers.iter()) {
                    let of_part = part.table.column(*number)?;
                    // A file with nothing but nulls has no type of its own.
                    let is_untyped = *part.table.schema.field(*number).data_type() == DataType::Null;
                    chunks.extend(of_part.into_iter().map(|chunk| match is_untyped {
                        true => new_null_array(data_type, chunk.len()),
                        false => chunk,
                    }));
                }
                Ok(chunks)
            }
            ColumnOrigin::Opened(ColumnPlace::Refused(refused)) => Err(refused.error(name)),
        }
    }

    /// Name and type of a column.
    pub(crate) fn field(&self, name: &str) -> Result<&FieldRef> {
        Ok(&self.schema.fields()[self.index(name)?])
    }

    pub(super) fn index(&self, name: &str) -> Result<usize> {
        let place = self.schema.fields().iter().position(|field| field.name() == name);
        if let Some(ColumnOrigin::Opened(ColumnPlace::Refused(refused))) =
            place.map(|place| &self.columns[place])
        {
            return Err(refused.error(name));
        }
        place.ok_or_else(|| Error::MissingColumn {
            path: self.path().into(),
            column: name.to_owned(),
            mend: String::new(),
            known: self.columns().into_iter().map(str::to_owned).collect(),
        })
    }

    /// Names the column, its type and what was asked for.
    pub(crate) fn wrong_type(&self, field: &FieldRef, needed: &str) -> Error {
        Error::WrongType {
            path: self.path().into(),
            column: field.name().clone(),
            found: type_in_words(field),
            needed: needed.to_owned(),
        }
    }

    /// Fails at the first null of this column among the rows in use.
    pub(crate) fn refuse_nulls(&self, name: &str) -> Result<()> {
        let chunks = self.column_chunks(name)?;
        if chunks.iter().all(|chunk| chunk.logical_null_count() == 0) {
            return Ok(());
        }
        let nulls: Vec<_> = chunks.iter().map(|chunk| chunk.logical_nulls()).collect();
        let is_null = |row: usize| {
            let (chunk, offset) = self.locate(row);
            nulls[chunk].as_ref().is_some_and(|nulls| nulls.is_null(offset))
        };
        match (0..self.rows).find(|&row| is_null(row)) {
            None => Ok(()),
            Some(row) => {
                Err(self.bad_value(row, name, "the value is missing (null): fill it or drop the row"))
            }
        }
    }

    /// An error about the value of a row in use.
    pub(crate) fn bad_value(&self, row: usize, column: &str, message: impl Into<String>) -> Error {
        let (path, row) = self.place(row);
        Error::Value { path: path.into(), row, column: column.to_owned(), message: message.into() }
    }

    /// Copies the rows in use, `size` at a time, for the named columns, with their metadata and with
    /// dictionaries unpacked; also returns their schema. The same rows give the same record batches however
    /// the file is divided into chunks.
    pub(crate) fn copies<'a>(
        &'a self,
        columns: &[&str],
        size: usize,
    ) -> Result<(SchemaRef, impl Iterator<Item = Result<RecordBatch>> + 'a)> {
        let fields = columns.iter().map(|name| Ok(unpacked_field(self.field(name)?)));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new_with_metadata(fields, self.metadata_of(columns)));
        let columns = columns.iter().map(|name| self.column_chunks(name)).collect::<Result<Vec<_>>>()?;
        let copied = schema.clone();
        let copies = (0..self.rows).step_by(size).map(move |first| {
            let mut rows: Vec<_> = (first..self.rows.min(first + size)).map(|row| self.locate(row)).collect();
            // Only the chunks that hold these rows, renumbered.
            let mut used: Vec<usize> = rows.iter().map(|(chunk, _)| *chunk).collect();
            used.sort_unstable();
            used.dedup();
            rows.iter_mut().for_each(|(chunk, _)| *chunk = used.partition_point(|known| known < chunk));
            let copies = columns.iter().zip(copied.fields()).map(|(column, field)| {
                let chunks: Vec<_> = used.iter().map(|&chunk| &column[chunk]).collect();
                gathered(&chunks, &rows, field.data_type())
            });
            let copies = copies.collect::<Result<Vec<_>, _>>();
            // The number of rows must be given, since there may be no column.
            let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
            copies
                .and_then(|copies| RecordBatch::try_new_with_options(copied.clone(), copies, &options))
                .map_err(|error| Error::format(self.path(), error))
        });
        Ok((schema, copies))
    }
}

/// Gathers rows, by chunk and row, into one column of this type.
fn gathered(chunks: &[&ArrayRef], rows: &[(usize, usize)], to: &DataType) -> Result<ArrayRef, ArrowError> {
    if chunks.iter().all(|chunk| chunk.data_type() == to) {
        return interleave(&chunks.iter().map(AsRef::as_ref).collect::<Vec<_>>(), rows);
    }
    // The rows of each chunk are taken before they are unpacked: it may be much longer than they are.
    let mut taken = vec![Vec::new(); chunks.len()];
    let places = rows.iter().map(|&(chunk, row)| {
        taken[chunk].push(row as u64);
        (chunk, taken[chunk].len() - 1)
    });
    let places: Vec<_> = places.collect();
    let unpacked = chunks.iter().zip(taken).map(|(chunk, rows)| {
        let chunk = take(chunk, &UInt64Array::from(rows), None)?;
        unpacked(&chunk, to)
    });
    let unpacked = unpacked.collect::<Result<Vec<_>, _>>()?;
    interleave(&unpacked.iter().map(AsRef::as_ref).collect::<Vec<_>>(), &places)
}
