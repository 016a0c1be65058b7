//! The lines of a text, one in memory at a time.

use std::io::{BufRead, Read as _};

use super::{LONGEST_ROW, ParseError};

/// The byte order mark that some programs write before UTF-8 text; not part of the first line.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines ending with LF or CRLF; the last one may have no end.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    number: usize,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Lines { reader, number: 0, line: Vec::new() }
    }

    /// The next line, without its end, and its number from 1.
    ///
    /// # Errors
    /// Reading fails, or a line is longer than [`LONGEST_ROW`].
    pub(crate) fn next(&mut self) -> Result<Option<(usize, &[u8])>, ParseError> {
        Ok(self.next_whole()?.map(|(number, line)| (number, without_end(line))))
    }

    /// As [`Lines::next`], with its end.
    pub(crate) fn next_whole(&mut self) -> Result<Option<(usize, &[u8])>, ParseError> {
        Ok(if self.advance()? { Some(self.whole()) } else { None })
    }

    /// Reads the next line, if there is one.
    pub(crate) fn advance(&mut self) -> Result<bool, ParseError> {
        self.line.clear();
        let limit = LONGEST_ROW as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line);
        if read.map_err(ParseError::Io)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.len() > LONGEST_ROW {
            let message = format!("the line is longer than {} MiB", LONGEST_ROW >> 20);
            return Err(ParseError::line(self.number, message));
        }
        Ok(true)
    }

    /// The current line, with its end, and its number from 1.
    pub(crate) fn whole(&self) -> (usize, &[u8]) {
        let line = &self.line[..];
        let line = if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        (self.number, line)
    }
}

/// A line without its end.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
