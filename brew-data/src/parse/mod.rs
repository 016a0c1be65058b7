//! Parses text and headers into Arrow: pure functions of bytes that know no files, tensors, or loaders.
//!
//! Everything here reads unchecked input. It holds one row at a time, never panics, and never reads outside
//! its input. `fuzz/` builds these files alone, without libtorch, so they use nothing else of the crate.

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
mod json_builder;
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
pub(crate) mod text_lines;

#[cfg(test)]
#[path = "../../../fuzz/drive.rs"]
#[expect(unreachable_pub, reason = "the targets are another package's")]
mod drive;
#[cfg(test)]
mod fuzzed;

use arrow::array::RecordBatch;

/// Rows per record batch.
pub(crate) const CHUNK_ROWS: usize = 8192;

/// Maximum bytes of text per record batch, for few, long rows.
const CHUNK_BYTES: usize = 16 << 20;

/// Maximum bytes per row; bounds the memory for a file without line ends.
pub(crate) const LONGEST_ROW: usize = 16 << 20;

/// Counts the rows since a file's last record batch.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    rows: usize,
    bytes: usize,
    emitted: bool,
}

impl Chunk {
    /// Counts a row with this many bytes of text; returns whether the chunk is full.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes;
        self.rows == CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    /// Rows in it.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Starts the next chunk after emitting this one.
    pub(crate) fn emitted(&mut self) {
        *self = Chunk { emitted: true, ..Chunk::default() };
    }

    /// At the end of the file: whether rows remain to be emitted.
    ///
    /// # Errors
    /// The file has no rows.
    pub(crate) fn is_left(&self) -> Result<bool, ParseError> {
        match (self.rows, self.emitted) {
            (0, false) => Err(ParseError::NoRows),
            (rows, _) => Ok(rows > 0),
        }
    }
}

/// Receives the record batches of a file, in order.
pub(crate) type Emit<'a> = dyn FnMut(RecordBatch) -> Result<(), ParseError> + 'a;

/// What is wrong with a text, and where. Lines are counted from 1.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// Reading failed.
    Io(std::io::Error),
    /// It has no row.
    NoRows,
    /// A problem with the text as a whole.
    Text(String),
    /// A problem with a line.
    Line { line: usize, message: String },
    /// A problem with a field of a line.
    Field { line: usize, column: String, message: String },
    /// A line with too few or too many fields.
    Fields { line: usize, found: usize, expected: usize, columns: Vec<String> },
    /// The receiver of record batches stopped, and knows why.
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
/// The bytes are not UTF-8; names the first invalid one.
pub(crate) fn utf8<'a>(line: usize, column: &str, field: &'a [u8]) -> Result<&'a str, ParseError> {
    std::str::from_utf8(field).map_err(|error| {
        let message = format!(
            "the text is not UTF-8 from byte {} of the field: save the file as UTF-8",
            error.valid_up_to()
        );
        ParseError::field(line, column, message)
    })
}
