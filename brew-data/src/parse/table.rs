//! Separated text of known columns to record batches.

use std::io::BufRead;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};

use super::delimited::Delimited;
use super::infer::{Inference, check_fields, finite, names};
use super::{Chunk, Emit, Problem, utf8};

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
    /// No row; a line that is not as declared, by line and column.
    pub(crate) fn read(
        &self,
        reader: impl BufRead,
        schema: &SchemaRef,
        emit: &mut Emit<'_>,
    ) -> Result<(), Problem> {
        let mut records = self.records(reader);
        let columns = || schema.fields().iter().map(|field| field.name().as_str());
        if self.header
            && let Some((line, header)) = records.next()?
        {
            let names = names(line, header)?;
            if !names.iter().map(String::as_str).eq(columns()) {
                let declared: Vec<&str> = columns().collect();
                let message = format!(
                    "the header names {}, but the columns are declared as {}",
                    names.join(", "),
                    declared.join(", ")
                );
                return Err(Problem::line(line, message));
            }
        }
        let mut values: Vec<Values> = schema.fields().iter().map(|field| Values::of(field)).collect();
        let mut chunk = Chunk::default();
        while let Some((line, record)) = records.next()? {
            check_fields(line, record, columns())?;
            for ((field, name), values) in record.fields().zip(columns()).zip(&mut values) {
                let text = utf8(line, name, field)?;
                values.push(text).map_err(|message| Problem::field(line, name, message))?;
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
    Integers(Int64Builder, bool),
    Floats(Float64Builder, bool),
    Texts(StringBuilder),
}

impl Values {
    fn of(field: &Field) -> Self {
        match field.data_type() {
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
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Integers(values, _) => Arc::new(values.finish()),
            Values::Floats(values, _) => Arc::new(values.finish()),
            Values::Texts(values) => Arc::new(values.finish()),
        }
    }
}
