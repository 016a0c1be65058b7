//! Text and headers to Arrow: pure functions of bytes, which know no file, no tensor and no loader.
//!
//! Everything here reads input that nobody has checked. It holds one row at a time, never panics and
//! never reads outside its input; `fuzz/` drives these files alone, without libtorch, so they name
//! nothing of the crate but each other.

pub(crate) mod columns;
pub(crate) mod conll;
pub(crate) mod delimited;
mod delimited_table;
pub(crate) mod guard;
pub(crate) mod header;
pub(crate) mod infer;
pub(crate) mod ipc;
pub(crate) mod json;
mod json_alone;
mod json_column;
pub(crate) mod json_lines;
mod json_not_finite;
mod json_object;
pub(crate) mod json_rows;
pub(crate) mod json_table;
mod json_type;
pub(crate) mod layout;
pub(crate) mod lines;
mod nesting;
pub(crate) mod records;
pub(crate) mod squad;
pub(crate) mod squad_keys;
pub(crate) mod store;

#[cfg(test)]
#[path = "../../../fuzz/drive.rs"]
#[expect(unreachable_pub, reason = "the targets are another package's")]
mod drive;
#[cfg(test)]
mod fuzzed;

use arrow::array::RecordBatch;

/// Rows of a record batch.
pub(crate) const CHUNK_ROWS: usize = 8192;

/// Bytes of text of a record batch: what ends one that has few, long rows.
const CHUNK_BYTES: usize = 16 << 20;

/// Bytes of the longest row. It bounds the memory that a file without line ends can take.
pub(crate) const LONGEST_ROW: usize = 16 << 20;

/// Rows since the last record batch of a file, and whether there was one.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    rows: usize,
    bytes: usize,
    emitted: bool,
}

impl Chunk {
    /// Counts a row of so many bytes of text; whether the chunk is full, and is to be emitted.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes;
        self.rows == CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    /// Rows in it.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Begins the next one, as this one is emitted.
    pub(crate) fn emitted(&mut self) {
        *self = Chunk { emitted: true, ..Chunk::default() };
    }

    /// At the end of the file: whether there are rows left to emit.
    ///
    /// # Errors
    /// The file has no row at all.
    pub(crate) fn is_left(&self) -> Result<bool, ParseError> {
        match (self.rows, self.emitted) {
            (0, false) => Err(ParseError::NoRows),
            (rows, _) => Ok(rows > 0),
        }
    }
}

/// Takes the record batches of a file, in order.
pub(crate) type Emit<'a> = dyn FnMut(RecordBatch) -> Result<(), ParseError> + 'a;

/// What is wrong with a text, and where; lines are counted from 1.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// The text could not be read to its end.
    Io(std::io::Error),
    /// It has no row.
    NoRows,
    /// Something about the text as a whole.
    Text(String),
    /// Something about a line.
    Line { line: usize, message: String },
    /// Something about a field of a line.
    Field { line: usize, column: String, message: String },
    /// A line with too few or too many fields.
    Fields { line: usize, found: usize, expected: usize, columns: Vec<String> },
    /// Whoever takes the record batches wants no more, and knows why.
    Stopped,
}

impl From<String> for ParseError {
    fn from(message: String) -> Self {
        ParseError::Text(message)
    }
}

impl From<guard::Undecoded> for ParseError {
    fn from(undecoded: guard::Undecoded) -> Self {
        ParseError::Text(undecoded.to_string())
    }
}

impl ParseError {
    pub(crate) fn line(line: usize, message: impl Into<String>) -> Self {
        ParseError::Line { line, message: message.into() }
    }

    pub(crate) fn field(line: usize, column: impl Into<String>, message: impl Into<String>) -> Self {
        ParseError::Field { line, column: column.into(), message: message.into() }
    }
}

/// The text of a field.
///
/// # Errors
/// Bytes that are not UTF-8, by the first of them.
pub(crate) fn utf8<'a>(line: usize, column: &str, field: &'a [u8]) -> Result<&'a str, ParseError> {
    std::str::from_utf8(field).map_err(|error| {
        let message = format!(
            "the text is not UTF-8 from byte {} of the field on: save the file as UTF-8",
            error.valid_up_to()
        );
        ParseError::field(line, column, message)
    })
}
