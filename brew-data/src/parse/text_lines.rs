//! Plain text: each line is a row.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::builder::StringBuilder;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::lines::Lines;
use super::{Chunk, Emit, ParseError, utf8};

/// The name of the only column.
const TEXT: &str = "text";

/// One column of text.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(TEXT, DataType::Utf8, false)]))
}

/// Reads every line, blank ones too.
///
/// # Errors
/// There is no line; one is not UTF-8, or is longer than [`LONGEST_ROW`](super::LONGEST_ROW).
pub(crate) fn read(reader: impl BufRead, emit: &mut Emit<'_>) -> Result<(), ParseError> {
    let (mut values, mut chunk) = (StringBuilder::new(), Chunk::default());
    let mut lines = Lines::new(reader);
    while let Some((number, line)) = lines.next()? {
        values.append_value(utf8(number, TEXT, line)?);
        if chunk.add(line.len()) {
            emit_rows(&mut values, emit)?;
            chunk.emitted();
        }
    }
    if chunk.is_left()? { emit_rows(&mut values, emit) } else { Ok(()) }
}

fn emit_rows(values: &mut StringBuilder, emit: &mut Emit<'_>) -> Result<(), ParseError> {
    let column = Arc::new(values.finish()) as ArrayRef;
    let batch = RecordBatch::try_new(schema(), vec![column]);
    emit(batch.map_err(|error| ParseError::Text(error.to_string()))?)
}
