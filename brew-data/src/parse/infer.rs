//! Infers the columns of separated text: names from the header, types from the values.

use std::io::BufRead;

use arrow::datatypes::{DataType, Field};

use super::columns::{InferredColumns, Unreadable};
use super::delimited::Delimited;
use super::records::check_fields;
use super::{ParseError, header, utf8};

/// Rows within which a numeric column may still become text. Text further down is more likely a mistake,
/// which treating the column as text would hide.
const SETTLED_ROWS: usize = 1000;

/// The columns of one or more files with the same header.
#[derive(Debug, Default)]
pub(crate) struct DelimitedInference {
    columns: Vec<SeenColumn>,
    rows: usize,
    /// Files scanned so far.
    files: usize,
    /// The error if the first line turns out not to be a header.
    no_header: Option<ParseError>,
    /// The settings as Rust code.
    code: String,
}

/// A column's values so far.
#[derive(Debug)]
struct SeenColumn {
    name: String,
    values: FieldType,
    /// Whether a field was empty.
    empty: bool,
    /// Whether a whole number did not fit int64.
    beyond: bool,
    unreadable: Option<Unreadable>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum FieldType {
    None,
    Integers,
    Floats,
    Text,
}

/// The position of a field.
#[derive(Clone, Copy)]
struct FieldPlace {
    file: usize,
    line: usize,
    /// The row of the file.
    row: usize,
    /// Rows before it in all files.
    before: usize,
}

impl DelimitedInference {
    /// Scans a whole file.
    ///
    /// # Errors
    /// The first line is not a header, or differs from the previous file's; a line has too few or too many
    /// fields.
    pub(crate) fn scan(&mut self, settings: &Delimited, reader: impl BufRead) -> Result<(), ParseError> {
        let mut records = settings.records(reader);
        let file = self.files;
        self.files += 1;
        let Some((line, header)) = records.next()? else { return Err(ParseError::NoRows) };
        let is_index = header.fields().next().is_some_and(<[u8]>::is_empty);
        let names = header::names(settings, line, header)?;
        if self.columns.is_empty() {
            self.code = settings.code();
            if is_index {
                self.no_header =
                    Some(header::refusal(settings, line, names.len(), "its first field is blank"));
            }
            let column = |name| SeenColumn {
                name,
                values: FieldType::None,
                empty: false,
                beyond: false,
                unreadable: None,
            };
            self.columns = names.into_iter().map(column).collect();
        } else if !names.iter().eq(self.columns.iter().map(|column| &column.name)) {
            let expected: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!(
                "the columns are {}, but the files before it have {}",
                names.join(", "),
                expected.join(", ")
            );
            return Err(ParseError::line(line, message));
        }
        records.several = self.columns.len() > 1;
        let mut row = 0;
        while let Some((line, record)) = records.next()? {
            check_fields(line, record, self.columns.iter().map(|column| column.name.as_str()))?;
            let place = FieldPlace { file, line, row, before: self.rows };
            for (column, field) in self.columns.iter_mut().zip(record.fields()) {
                column.see(place, field);
            }
            self.rows += 1;
            row += 1;
        }
        Ok(())
    }

    /// The columns, if there was a row.
    ///
    /// # Errors
    /// There is no row, or the first header field is blank but not over an index.
    pub(crate) fn columns(self) -> Result<InferredColumns, ParseError> {
        if self.rows == 0 {
            return Err(ParseError::NoRows);
        }
        if let (Some(no_header), Some(index)) = (self.no_header, self.columns.first())
            && (index.values != FieldType::Integers || index.empty)
        {
            return Err(no_header);
        }
        let layout: String = self.columns.iter().map(SeenColumn::code).collect();
        Ok(InferredColumns::new(self.columns.into_iter().map(|column| {
            let data_type = column.data_type();
            let missing = column.empty && data_type != DataType::Utf8;
            let mut unreadable = column.unreadable;
            if let Some(unreadable) = unreadable.as_mut().filter(|_| column.values != FieldType::Text) {
                unreadable.message += &format!(
                    ": mend it, leave the field empty, or declare the column as text: `Dataset::open_as(path, \
                     {}.layout_below_header(Layout::new(){layout}))`",
                    self.code
                );
            }
            (Field::new(column.name, data_type, missing), unreadable)
        })))
    }
}

impl SeenColumn {
    fn see(&mut self, place: FieldPlace, field: &[u8]) {
        if self.unreadable.is_some() {
            return;
        }
        if field.is_empty() {
            self.empty = true;
            return;
        }
        let text = match utf8(place.line, &self.name, field) {
            Ok(text) => text,
            Err(ParseError::Field { message, .. }) => {
                self.values = FieldType::Text;
                return self.refuse(place, message);
            }
            Err(_) => return,
        };
        let is_whole = text.parse::<i64>().is_ok() || is_beyond(text);
        self.values = match self.values {
            FieldType::Text => FieldType::Text,
            _ if is_identifier(text) => FieldType::Text,
            FieldType::None | FieldType::Integers if is_whole => {
                self.beyond |= is_beyond(text);
                FieldType::Integers
            }
            FieldType::None | FieldType::Integers | FieldType::Floats if finite(text).is_some() => {
                FieldType::Floats
            }
            FieldType::None => FieldType::Text,
            _ if place.before < SETTLED_ROWS => FieldType::Text,
            numbers => {
                let numbers = if numbers == FieldType::Integers { "whole numbers" } else { "numbers" };
                let shown = String::from_utf8_lossy(&field[..field.len().min(40)]).into_owned();
                let message = format!("`{shown}` is text, where the rows before it hold {numbers}");
                return self.refuse(place, message);
            }
        };
    }

    fn refuse(&mut self, place: FieldPlace, message: String) {
        let message = format!("row {}: {message}", place.row);
        self.unreadable = Some(Unreadable { file: place.file, line: place.line, message });
    }

    fn data_type(&self) -> DataType {
        match self.values {
            FieldType::Integers if self.beyond => DataType::Utf8,
            FieldType::Integers => DataType::Int64,
            FieldType::Floats => DataType::Float64,
            FieldType::None | FieldType::Text => DataType::Utf8,
        }
    }

    /// The layout call for a column that holds every value, as Rust code.
    fn code(&self) -> String {
        let call = match self.data_type() {
            DataType::Int64 if !self.empty && self.unreadable.is_none() => "integer",
            DataType::Float64 if !self.empty && self.unreadable.is_none() => "float",
            _ => "text",
        };
        format!(".{call}({:?})", self.name)
    }
}

/// Whether this is a number whose text carries more than its value: a postcode `01234`, a phone prefix `+49`.
pub(crate) fn is_identifier(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    let has_more = text.starts_with('+') || matches!(digits, [b'0', next, ..] if next.is_ascii_digit());
    has_more && finite(text).is_some()
}

/// Whether this is a whole number that does not fit int64, which float64 would round.
fn is_beyond(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.len() > 18 && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_err()
}

/// A finite number.
pub(crate) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
