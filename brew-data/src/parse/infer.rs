//! What the columns of separated text are: names from the header, types from the values.

use std::io::BufRead;

use arrow_schema::{DataType, Field, Schema};

use super::delimited::Delimited;
use super::records::Record;
use super::{Problem, utf8};

/// Rows in which a column of numbers may still turn out to be one of text. A text further down is more
/// likely a mistake, and to take the column for text would hide it.
const SETTLED_ROWS: usize = 1000;

/// The columns of one or several files of the same header.
#[derive(Debug, Default)]
pub(crate) struct Inference {
    columns: Vec<Seen>,
    rows: usize,
}

/// What a column's values were so far.
#[derive(Debug)]
struct Seen {
    name: String,
    values: Values,
    /// Whether there was an empty field.
    empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Values {
    None,
    Integers,
    Floats,
    Text,
}

impl Inference {
    /// Looks through a whole file.
    ///
    /// # Errors
    /// A first line that is no header, or another one than the file's before; a line with too few or
    /// too many fields; text in a column that was one of numbers for [`SETTLED_ROWS`] rows.
    pub(crate) fn scan(&mut self, settings: &Delimited, reader: impl BufRead) -> Result<(), Problem> {
        let mut records = settings.records(reader);
        let Some((line, header)) = records.next()? else { return Err(Problem::NoRows) };
        let names = names(line, header)?;
        if self.columns.is_empty() {
            let column = |name| Seen { name, values: Values::None, empty: false };
            self.columns = names.into_iter().map(column).collect();
        } else if !names.iter().eq(self.columns.iter().map(|column| &column.name)) {
            let expected: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            let message = format!(
                "the columns are {}, but those of the file before it are {}",
                names.join(", "),
                expected.join(", ")
            );
            return Err(Problem::line(line, message));
        }
        while let Some((line, record)) = records.next()? {
            check_fields(line, record, self.columns.iter().map(|column| column.name.as_str()))?;
            for (column, field) in self.columns.iter_mut().zip(record.fields()) {
                column.see(line, field, self.rows)?;
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// The schema, where there was a row.
    pub(crate) fn schema(self) -> Result<Schema, Problem> {
        if self.rows == 0 {
            return Err(Problem::NoRows);
        }
        let fields = self.columns.into_iter().map(|column| {
            let data_type = match column.values {
                Values::Integers => DataType::Int64,
                Values::Floats => DataType::Float64,
                Values::None | Values::Text => DataType::Utf8,
            };
            let missing = column.empty && data_type != DataType::Utf8;
            Field::new(column.name, data_type, missing)
        });
        Ok(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// The names of a header. A number, a blank or a name twice is none: to take such a line for a header
/// would lose a row without a word.
pub(crate) fn names(line: usize, header: Record<'_>) -> Result<Vec<String>, Problem> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, name) in header.fields().enumerate() {
        let name = utf8(line, &(index + 1).to_string(), name)?;
        if name.trim().is_empty() || name.parse::<f64>().is_ok() || names.iter().any(|known| known == name) {
            return Err(Problem::Text(format!(
                "the first line is not a header: `{name}` is blank, a number, or there twice; declare the \
                 columns with `Dataset::open_as(path, &Layout::new().integer(\"id\").text(\"text\"))`"
            )));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Refuses a record with too few or too many fields.
pub(crate) fn check_fields<'a>(
    line: usize,
    record: Record<'_>,
    names: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), Problem> {
    if record.len() == names.len() {
        return Ok(());
    }
    let (found, expected) = (record.len(), names.len());
    Err(Problem::Fields { line, found, expected, columns: names.map(str::to_owned).collect() })
}

impl Seen {
    fn see(&mut self, line: usize, field: &[u8], row: usize) -> Result<(), Problem> {
        if field.is_empty() {
            self.empty = true;
            return Ok(());
        }
        // Bytes that are not UTF-8 are told when the values are read, by their place.
        let text = std::str::from_utf8(field).unwrap_or_default();
        self.values = match self.values {
            Values::Text => Values::Text,
            Values::None | Values::Integers if text.parse::<i64>().is_ok() => Values::Integers,
            Values::None | Values::Integers | Values::Floats if finite(text).is_some() => Values::Floats,
            Values::None => Values::Text,
            _ if row < SETTLED_ROWS => Values::Text,
            numbers => {
                let numbers = if numbers == Values::Integers { "whole numbers" } else { "numbers" };
                let shown = String::from_utf8_lossy(&field[..field.len().min(40)]).into_owned();
                let message = format!(
                    "`{shown}` is not a number, but the column has held {numbers} so far: mend it, leave the \
                     field empty, or declare the column with `Delimited::layout_below_header`"
                );
                return Err(Problem::field(line, &self.name, message));
            }
        };
        Ok(())
    }
}

/// A number that is not infinite and not NaN.
pub(crate) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
