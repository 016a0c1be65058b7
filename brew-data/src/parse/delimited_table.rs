//! Reads separated text with known columns into record batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow::array::{ArrayRef, NullArray, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::delimited::Delimited;
use super::infer::{DelimitedInference, finite};
use super::records::check_fields;
use super::{Chunk, Emit, ParseError, header, utf8};

impl Delimited {
    /// The declared columns, if any.
    pub(crate) fn declared(&self) -> Option<SchemaRef> {
        self.layout.as_ref().map(|layout| Arc::new(layout.schema()))
    }

    /// Scans a file to infer its columns.
    pub(crate) fn infer(
        &self,
        reader: impl BufRead,
        columns: &mut DelimitedInference,
    ) -> Result<(), ParseError> {
        columns.scan(self, reader)
    }

    /// Reads every row of a file with these columns.
    ///
    /// # Errors
    /// There are no rows, the header has other names, or a line does not match the columns, by line and
    /// column.
    pub(crate) fn read(
        &self,
        reader: impl BufRead,
        schema: &SchemaRef,
        emit: &mut Emit<'_>,
    ) -> Result<(), ParseError> {
        let mut records = self.records(reader);
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if self.header
            && let Some((line, header)) = records.next()?
        {
            header::check(line, header, &names)?;
        }
        records.several = names.len() > 1;
        let mut values: Vec<FieldBuilder> =
            schema.fields().iter().map(|field| FieldBuilder::of(field)).collect();
        let mut chunk = Chunk::default();
        while let Some((line, record)) = records.next()? {
            check_fields(line, record, names.iter().copied())?;
            for ((field, name), values) in record.fields().zip(&names).zip(&mut values) {
                // An unreadable column need not be UTF-8.
                let text =
                    if matches!(values, FieldBuilder::Nothing(_)) { "" } else { utf8(line, name, field)? };
                values.push(text).map_err(|message| ParseError::field(line, *name, message))?;
            }
            if chunk.add(record.bytes()) {
                emit(batch(schema, &mut values)?)?;
                chunk.emitted();
            }
        }
        if chunk.is_left()? { emit(batch(schema, &mut values)?) } else { Ok(()) }
    }
}

fn batch(schema: &SchemaRef, values: &mut [FieldBuilder]) -> Result<RecordBatch, ParseError> {
    let columns = values.iter_mut().map(FieldBuilder::finish).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| ParseError::Text(error.to_string()))
}

/// A column under construction; for numbers, with whether an empty field is a missing value.
enum FieldBuilder {
    /// The number of rows of an unreadable column.
    Nothing(usize),
    Integers(Int64Builder, bool),
    Floats(Float64Builder, bool),
    Texts(StringBuilder),
}

impl FieldBuilder {
    fn of(field: &Field) -> Self {
        match field.data_type() {
            DataType::Null => FieldBuilder::Nothing(0),
            DataType::Int64 => FieldBuilder::Integers(Int64Builder::new(), field.is_nullable()),
            DataType::Float64 => FieldBuilder::Floats(Float64Builder::new(), field.is_nullable()),
            _ => FieldBuilder::Texts(StringBuilder::new()),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        match self {
            FieldBuilder::Integers(values, true) if text.is_empty() => values.append_null(),
            FieldBuilder::Floats(values, true) if text.is_empty() => values.append_null(),
            FieldBuilder::Integers(values, _) => {
                values.append_value(text.parse().map_err(|_| format!("`{text}` is not a whole number"))?);
            }
            FieldBuilder::Floats(values, _) => {
                values.append_value(finite(text).ok_or_else(|| format!("`{text}` is not a finite number"))?);
            }
            FieldBuilder::Texts(values) => values.append_value(text),
            FieldBuilder::Nothing(rows) => *rows += 1,
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            FieldBuilder::Nothing(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            FieldBuilder::Integers(values, _) => Arc::new(values.finish()),
            FieldBuilder::Floats(values, _) => Arc::new(values.finish()),
            FieldBuilder::Texts(values) => Arc::new(values.finish()),
        }
    }
}
