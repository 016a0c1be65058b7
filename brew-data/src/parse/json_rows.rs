//! Splits a JSON text into the bytes of its rows: an object per line, objects over several lines, or the
//! elements of one list.
//!
//! The beginning of the text tells which of these it is. Only one row is held at a time, with bounded length;
//! a list of any length may be on one line.

use std::io::{BufRead, ErrorKind, Read as _};

use super::lines::{BYTE_ORDER_MARK, without_end};
use super::nesting::Nesting;
use super::{LONGEST_ROW, ParseError};

/// One row at a time.
pub(crate) struct JsonRows<R> {
    reader: R,
    /// The line of the next byte, from 1.
    line: usize,
    row: Vec<u8>,
    form: RowForm,
}

#[derive(Debug, Clone, Copy)]
enum RowForm {
    /// Nothing has been read.
    Unknown,
    /// A row per line.
    Lines,
    /// One object after another, across lines.
    Objects,
    /// The elements of the list that begins in this line; whether there has been one.
    List(usize, bool),
    /// A list read to its end.
    Done,
}

/// What to do with a byte.
enum Scan {
    Take,
    TakeAndStop,
    Stop,
}

impl<R: BufRead> JsonRows<R> {
    pub(crate) fn new(reader: R) -> Self {
        JsonRows { reader, line: 1, row: Vec::new(), form: RowForm::Unknown }
    }

    /// The next row, and its first line.
    ///
    /// # Errors
    /// Reading fails; an object or list is not closed; a row is longer than [`LONGEST_ROW`]; something else
    /// in or after a list.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, &[u8])>, ParseError> {
        self.row.clear();
        let begins = match self.form {
            RowForm::Unknown => self.first()?,
            RowForm::Lines => self.next_line()?,
            RowForm::Objects => match self.skip_blank()? {
                Some(b'{') => Some(self.object()?),
                Some(_) => {
                    return Err(ParseError::line(self.line, "no object begins here: each row must be one"));
                }
                None => None,
            },
            RowForm::List(line, had_one) => self.element(line, had_one)?,
            RowForm::Done => None,
        };
        Ok(begins.map(|line| (line, without_end(&self.row))))
    }

    /// Whether the rows are the elements of a list.
    pub(crate) fn are_listed(&self) -> bool {
        matches!(self.form, RowForm::List(..) | RowForm::Done)
    }

    /// Whether each line is a row.
    pub(crate) fn are_lines(&self) -> bool {
        matches!(self.form, RowForm::Lines)
    }

    /// Determines the form of the text, and reads its first row.
    fn first(&mut self) -> Result<Option<usize>, ParseError> {
        let mut mark = BYTE_ORDER_MARK.iter();
        self.scan("text", |byte| if mark.next() == Some(&byte) { Scan::Take } else { Scan::Stop })?;
        let Some(byte) = self.skip_blank()? else { return Ok(None) };
        match byte {
            b'[' => {
                self.scan("list", |_| Scan::TakeAndStop)?;
                self.element(self.line, false)
            }
            b'{' => {
                let begins = self.object()?;
                self.form = if self.line == begins { RowForm::Lines } else { RowForm::Objects };
                if let RowForm::Lines = self.form {
                    self.rest_of_line()?;
                }
                Ok(Some(begins))
            }
            _ => {
                self.form = RowForm::Lines;
                self.next_line()
            }
        }
    }

    /// Reads the next line that is not blank.
    fn next_line(&mut self) -> Result<Option<usize>, ParseError> {
        loop {
            let begins = self.line;
            self.rest_of_line()?;
            if !self.row.trim_ascii().is_empty() {
                return Ok(Some(begins));
            }
            if self.row.is_empty() {
                return Ok(None);
            }
            self.row.clear();
        }
    }

    /// Reads the next element of a list.
    fn element(&mut self, list: usize, had_one: bool) -> Result<Option<usize>, ParseError> {
        self.form = RowForm::List(list, true);
        let mut next = self.skip_blank()?;
        if let (true, Some(b',')) = (had_one, next) {
            self.scan("list", |_| Scan::TakeAndStop)?;
            next = self.skip_blank()?;
            if let Some(b',' | b']') = next {
                return Err(ParseError::line(self.line, "a comma has no row behind it"));
            }
        } else if let (true, Some(byte)) = (had_one, next)
            && byte != b']'
        {
            return Err(ParseError::line(self.line, "a comma is missing between two rows"));
        }
        match next {
            None => Err(unclosed(list, "list")),
            Some(b']') => {
                self.form = RowForm::Done;
                self.scan("list", |_| Scan::TakeAndStop)?;
                match self.skip_blank()? {
                    None => Ok(None),
                    Some(_) => Err(ParseError::line(
                        self.line,
                        "text follows the list: a file is one list of objects, or one object per line",
                    )),
                }
            }
            Some(b'{') => self.object().map(Some),
            Some(_) => {
                let (begins, mut nesting) = (self.line, Nesting::default());
                self.row.clear();
                self.scan("row", |byte| match byte {
                    b',' | b']' if nesting.is_outside() => Scan::Stop,
                    _ => {
                        nesting.closes(byte);
                        Scan::Take
                    }
                })?;
                Ok(Some(begins))
            }
        }
    }

    /// Reads the object that begins here; returns its first line.
    fn object(&mut self) -> Result<usize, ParseError> {
        let (begins, mut nesting) = (self.line, Nesting::default());
        let closed =
            self.scan("object", |byte| if nesting.closes(byte) { Scan::TakeAndStop } else { Scan::Take })?;
        if closed { Ok(begins) } else { Err(unclosed(begins, "object")) }
    }

    /// Reads the rest of the line, including its end.
    fn rest_of_line(&mut self) -> Result<(), ParseError> {
        let left = (LONGEST_ROW + 1).saturating_sub(self.row.len()) as u64;
        self.reader.by_ref().take(left).read_until(b'\n', &mut self.row).map_err(ParseError::Io)?;
        self.within_bounds("line", self.line)?;
        self.line += usize::from(self.row.ends_with(b"\n"));
        Ok(())
    }

    fn within_bounds(&self, what: &str, begins: usize) -> Result<(), ParseError> {
        if self.row.len() <= LONGEST_ROW {
            return Ok(());
        }
        let mut message = format!("the {what} is longer than {} MiB", LONGEST_ROW >> 20);
        if what == "object" {
            message += ", and a row is no longer; where it is a whole table, write one row per line, with pandas by \
                        `df.to_json(path, orient=\"records\", lines=True)`";
        }
        Err(ParseError::line(begins, message))
    }

    /// Skips white space, but keeps it within the current line, so bytes are counted from the line's start.
    /// Returns the next byte.
    fn skip_blank(&mut self) -> Result<Option<u8>, ParseError> {
        let mut found = None;
        self.row.clear();
        loop {
            let ended = self.scan("line", |byte| {
                found = (!byte.is_ascii_whitespace()).then_some(byte);
                match byte {
                    b'\n' => Scan::TakeAndStop,
                    _ if found.is_some() => Scan::Stop,
                    _ => Scan::Take,
                }
            })?;
            if found.is_some() || !ended {
                return Ok(found);
            }
            self.row.clear();
        }
    }

    /// Reads bytes into the row until one stops it; returns whether one did before the end.
    fn scan(&mut self, what: &str, mut step: impl FnMut(u8) -> Scan) -> Result<bool, ParseError> {
        let begins = self.line;
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ParseError::Io(error)),
            };
            let (mut taken, mut stopped) = (0, bytes.is_empty());
            let ended = stopped;
            for &byte in bytes {
                let step = step(byte);
                taken += usize::from(!matches!(step, Scan::Stop));
                self.line += usize::from(byte == b'\n' && !matches!(step, Scan::Stop));
                stopped = !matches!(step, Scan::Take);
                if stopped {
                    break;
                }
            }
            self.row.extend_from_slice(&bytes[..taken]);
            self.reader.consume(taken);
            self.within_bounds(what, begins)?;
            if stopped {
                return Ok(!ended);
            }
        }
    }
}

fn unclosed(line: usize, what: &str) -> ParseError {
    ParseError::line(line, format!("the {what} that begins here is not closed before the end of the file"))
}
