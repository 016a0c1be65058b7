//! Text files through the parsers, with the file's name put to what they find wrong.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::parse::conll::Conll;
use crate::parse::{Emit, Problem, squad};

/// Reads a file of CoNLL columns.
pub(crate) fn conll(path: &Path, settings: &Conll) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    read(path, settings.schema(), |reader, emit| settings.read(reader, emit))
}

/// Reads a document of SQuAD's form.
pub(crate) fn squad(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    read(path, squad::schema(), |reader, emit| squad::read(reader, emit))
}

fn read(
    path: &Path,
    schema: SchemaRef,
    parse: impl FnOnce(&mut dyn BufRead, &mut Emit<'_>) -> Result<(), Problem>,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(Error::io(path))?);
    let mut chunks = Vec::new();
    parse(&mut reader, &mut |batch| {
        chunks.push(batch);
        Ok(())
    })
    .map_err(|problem| named(path, problem))?;
    Ok((schema, chunks))
}

/// The problem as an error that names the file.
fn named(path: &Path, problem: Problem) -> Error {
    let path = path.to_owned();
    match problem {
        Problem::Io(source) => Error::Io { path, source },
        Problem::NoRows => Error::NoRows { path },
        Problem::Text(message) => Error::Format { path, message },
        Problem::Line { line, message } => Error::Line { path, line, message },
        Problem::Field { line, column, message } => Error::Field { path, line, column, message },
        Problem::Fields { line, found, expected, columns } => {
            Error::Fields { path, line, found, expected, columns }
        }
    }
}
