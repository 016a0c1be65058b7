//! Splits lines of separated text into fields, with or without quoting.
//!
//! Not a crate, because an unclosed quotation mark must be an error that names its line instead of swallowing
//! the rest of the file, and rows must be bounded.

use std::io::BufRead;

use super::lines::{Lines, without_end};
use super::{LONGEST_ROW, ParseError};

/// Reads one record at a time, as fields without quotation marks.
pub(crate) struct Records<R> {
    lines: Lines<R>,
    separator: u8,
    quoted: bool,
    /// Whether records have several fields, so that a line of spaces is blank.
    pub(super) several: bool,
    /// The concatenated fields.
    text: Vec<u8>,
    /// The end of each field.
    ends: Vec<usize>,
}

/// The fields of a record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    text: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub(crate) fn len(self) -> usize {
        self.ends.len()
    }

    /// Bytes of all fields.
    pub(crate) fn bytes(self) -> usize {
        self.text.len()
    }

    pub(crate) fn fields(self) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(|(start, &end)| &self.text[start..end])
    }
}

/// The position of the next byte in a record.
#[derive(Clone, Copy, PartialEq)]
enum QuoteState {
    /// At the first byte of a field.
    Start,
    /// Inside an unquoted field; quotation marks in it are ordinary characters.
    Bare,
    /// Inside a quoted field.
    Quoted,
    /// After a quotation mark that ends the field, unless another follows.
    Closing,
}

impl QuoteState {
    /// Processes a byte: adds it to its field, or ends the field.
    ///
    /// # Errors
    /// The byte is not allowed there.
    fn next(
        self,
        byte: u8,
        separator: u8,
        text: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<Self, &'static str> {
        let next = match (self, byte) {
            (QuoteState::Start, b'"') => return Ok(QuoteState::Quoted),
            (QuoteState::Quoted, b'"') => return Ok(QuoteState::Closing),
            (QuoteState::Start | QuoteState::Bare | QuoteState::Closing, byte) if byte == separator => {
                ends.push(text.len());
                return Ok(QuoteState::Start);
            }
            (QuoteState::Closing, b'"') | (QuoteState::Quoted, _) => QuoteState::Quoted,
            (QuoteState::Start | QuoteState::Bare | QuoteState::Closing, b'\r') => {
                return Err(
                    "a carriage return without a line feed stands outside quotation marks: end lines with \
                            LF or CRLF, and put a text that holds one into quotation marks",
                );
            }
            (QuoteState::Closing, _) => {
                return Err(
                    "text follows a closing quotation mark: write `\"\"` for a quotation mark inside a \
                            quoted field",
                );
            }
            (QuoteState::Start | QuoteState::Bare, _) => QuoteState::Bare,
        };
        text.push(byte);
        Ok(next)
    }
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(reader: R, separator: u8, quoted: bool) -> Self {
        let lines = Lines::new(reader);
        Records { lines, separator, quoted, several: true, text: Vec::new(), ends: Vec::new() }
    }

    /// Whether a line is skipped, as in pandas and pyarrow; `""` is an empty field if it is the only one.
    fn is_blank(&self, line: &[u8]) -> bool {
        let of_spaces = || line.iter().all(|byte| byte.is_ascii_whitespace() && *byte != self.separator);
        line.is_empty() || self.several && of_spaces()
    }

    /// The next record, and its first line; blank lines are skipped.
    ///
    /// # Errors
    /// Reading fails; a quotation mark is not closed, or followed by text; a lone carriage return, which some
    /// programs treat as a line end; a record longer than [`LONGEST_ROW`].
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Record<'_>)>, ParseError> {
        self.text.clear();
        self.ends.clear();
        loop {
            if !self.lines.advance()? {
                return Ok(None);
            }
            if !self.is_blank(without_end(self.lines.whole().1)) {
                break;
            }
        }
        let (first, line) = self.lines.whole();
        if !self.quoted {
            for field in without_end(line).split(|byte| *byte == self.separator) {
                self.text.extend_from_slice(field);
                self.ends.push(self.text.len());
            }
            return Ok(Some((first, Record { text: &self.text, ends: &self.ends })));
        }
        let (mut state, mut opened) = (QuoteState::Start, first);
        let (mut number, mut line) = (first, line);
        loop {
            let body = without_end(line);
            for &byte in body {
                if (state, byte) == (QuoteState::Start, b'"') {
                    opened = number;
                }
                let next = state.next(byte, self.separator, &mut self.text, &mut self.ends);
                state = next.map_err(|message| ParseError::line(number, message))?;
            }
            if state != QuoteState::Quoted {
                self.ends.push(self.text.len());
                return Ok(Some((first, Record { text: &self.text, ends: &self.ends })));
            }
            // The line end is part of the field.
            self.text.extend_from_slice(&line[body.len()..]);
            if self.text.len() > LONGEST_ROW {
                return Err(unclosed(opened, &format!("within {} MiB", LONGEST_ROW >> 20)));
            }
            match self.lines.next_whole()? {
                Some(next) => (number, line) = next,
                None => return Err(unclosed(opened, "before the end of the file")),
            }
        }
    }
}

fn unclosed(line: usize, by: &str) -> ParseError {
    let message = format!(
        "a quoted field is not closed {by}: if quotation marks have no special meaning in this file, read it \
         with `Delimited::csv().quoted(false)`"
    );
    ParseError::line(line, message)
}

/// Rejects a record with too few or too many fields.
pub(crate) fn check_fields<'a>(
    line: usize,
    record: Record<'_>,
    names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), ParseError> {
    if record.len() == names.len() {
        return Ok(());
    }
    let (found, expected) = (record.len(), names.len());
    Err(ParseError::Fields { line, found, expected, columns: names.map(str::to_owned).collect() })
}
