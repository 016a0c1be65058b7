//! Separated text of known columns to record batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow::array::{ArrayRef, NullArray, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::delimited::Delimited;
use super::infer::{Inference, check_fields, finite};
use super::{Chunk, Emit, Problem, header, utf8};

impl Delimited {
    /// The declared columns, where there are.
    pub(crate) fn declared(&self) -> Option<SchemaRef> {
        self.layout.as_ref().map(|layout| Arc::new(layout.schema()))
    }

    /// Adds a file to what is known of the columns.
    pub(crate) fn infer(&self, reader: impl BufRead, columns: &mut Inference) -> Result<(), Problem> {
        columns.scan(self, reader)
    }

    /// Reads every row of a file with these columns.
    ///
    /// # Errors
    /// No row; a header of other names; a line that is not as declared, by line and column.
    pub(crate) fn read(
        &self,
        reader: impl BufRead,
        schema: &SchemaRef,
        emit: &mut Emit<'_>,
    ) -> Result<(), Problem> {
        let mut records = self.records(reader);
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if self.header
            && let Some((line, header)) = records.next()?
        {
            header::check(line, header, &names)?;
        }
        records.several = names.len() > 1;
        let mut values: Vec<Values> = schema.fields().iter().map(|field| Values::of(field)).collect();
        let mut chunk = Chunk::default();
        while let Some((line, record)) = records.next()? {
            check_fields(line, record, names.iter().copied())?;
            for ((field, name), values) in record.fields().zip(&names).zip(&mut values) {
                // What a column holds that cannot be read need not be text.
                let text = if matches!(values, Values::Nothing(_)) { "" } else { utf8(line, name, field)? };
                values.push(text).map_err(|message| Problem::field(line, *name, message))?;
            }
            if chunk.add(record.bytes()) {
                emit(batch(schema, &mut values)?)?;
                chunk.emitted();
            }
        }
        if chunk.is_left()? { emit(batch(schema, &mut values)?) } else { Ok(()) }
    }
}

fn batch(schema: &SchemaRef, values: &mut [Values]) -> Result<RecordBatch, Problem> {
    let columns = values.iter_mut().map(Values::finish).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| Problem::Text(error.to_string()))
}

/// One column under construction; of numbers, with whether an empty field is a missing value.
enum Values {
    /// Of a column that cannot be read: its rows.
    Nothing(usize),
    Integers(Int64Builder, bool),
    Floats(Float64Builder, bool),
    Texts(StringBuilder),
}

impl Values {
    fn of(field: &Field) -> Self {
        match field.data_type() {
            DataType::Null => Values::Nothing(0),
            DataType::Int64 => Values::Integers(Int64Builder::new(), field.is_nullable()),
            DataType::Float64 => Values::Floats(Float64Builder::new(), field.is_nullable()),
            _ => Values::Texts(StringBuilder::new()),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        match self {
            Values::Integers(values, true) if text.is_empty() => values.append_null(),
            Values::Floats(values, true) if text.is_empty() => values.append_null(),
            Values::Integers(values, _) => {
                values.append_value(text.parse().map_err(|_| format!("`{text}` is not a whole number"))?);
            }
            Values::Floats(values, _) => {
                values.append_value(finite(text).ok_or_else(|| format!("`{text}` is not a finite number"))?);
            }
            Values::Texts(values) => values.append_value(text),
            Values::Nothing(rows) => *rows += 1,
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Nothing(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Values::Integers(values, _) => Arc::new(values.finish()),
            Values::Floats(values, _) => Arc::new(values.finish()),
            Values::Texts(values) => Arc::new(values.finish()),
        }
    }
}
