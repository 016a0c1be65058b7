//! What the columns of separated text are: names from the header, types from the values.

use std::io::BufRead;

use arrow::datatypes::DataType;

use super::columns::{InferredColumns, Unreadable};
use super::delimited::Delimited;
use super::records::check_fields;
use super::{ParseError, header, utf8};

/// Rows in which a column of numbers may still turn out to be one of text. A text further down is more
/// likely a mistake, and to take the column for text would hide it.
const SETTLED_ROWS: usize = 1000;

/// The columns of one or several files of the same header.
#[derive(Debug, Default)]
pub(crate) struct DelimitedInference {
    columns: Vec<SeenColumn>,
    rows: usize,
    /// Files that were looked through.
    files: usize,
    /// How to say that the first line is no header after all.
    no_header: Option<ParseError>,
    /// The settings, as they are written in Rust.
    code: String,
}

/// What a column's values were so far.
#[derive(Debug)]
struct SeenColumn {
    name: String,
    values: FieldType,
    /// Whether there was an empty field.
    empty: bool,
    /// Whether there was a whole number beyond int64.
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

/// Where a field stands.
#[derive(Clone, Copy)]
struct FieldPlace {
    file: usize,
    line: usize,
    /// The row of the file.
    row: usize,
    /// Rows before it, of all files.
    before: usize,
}

impl DelimitedInference {
    /// Looks through a whole file.
    ///
    /// # Errors
    /// A first line that is no header, or another one than the file's before; a line with too few or
    /// too many fields.
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
                "the columns are {}, but those of the files before it are {}",
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

    /// The columns, where there was a row.
    ///
    /// # Errors
    /// No row; a first line whose blank field is not over an index.
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
            (column.name, data_type, missing, unreadable)
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

    /// The column of a layout that can hold every value, as it is written in Rust.
    fn code(&self) -> String {
        let call = match self.data_type() {
            DataType::Int64 if !self.empty && self.unreadable.is_none() => "integer",
            DataType::Float64 if !self.empty && self.unreadable.is_none() => "float",
            _ => "text",
        };
        format!(".{call}({:?})", self.name)
    }
}

/// Whether this is a number whose text says more than the number: `01234` of a postcode, `+49` of a telephone
/// number.
pub(crate) fn is_identifier(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    let has_more = text.starts_with('+') || matches!(digits, [b'0', next, ..] if next.is_ascii_digit());
    has_more && finite(text).is_some()
}

/// Whether this is a whole number beyond int64, which float64 would round.
fn is_beyond(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.len() > 18 && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_err()
}

/// A number that is not infinite and not NaN.
pub(crate) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
