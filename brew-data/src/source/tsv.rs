//! Tab-separated text: a line is a row, a tab ends a field, and nothing is quoted.
//!
//! Sentences hold bare quotation marks, so a quoting reader would swallow line ends and lose rows.
//! Lines end with LF or CRLF; the text must be UTF-8.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};

use crate::error::{Error, Result};
use crate::source::layout::Layout;

/// Rows a chunk: far below the 2 GB of text that one Arrow array can hold.
const CHUNK_ROWS: usize = 8192;

/// What some programs put before UTF-8 text; it is no part of the first name.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without its end, and its number from 1.
type Line<'a> = (usize, &'a [u8]);

/// Reads a file of the declared layout, or one whose first line names the columns.
///
/// # Errors
/// A file that cannot be read, without rows, or with a line that is not as declared.
pub(crate) fn read(path: &Path, layout: Option<&Layout>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let lines = lines(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes));
    let (layout, rows) = match (layout, lines.split_first()) {
        (Some(layout), _) => (layout.clone(), &lines[..]),
        (None, Some((header, rows))) => (infer(path, *header, rows)?, rows),
        (None, None) => return Err(Error::NoRows { path: path.into() }),
    };
    let schema = Arc::new(layout.schema());
    let chunks = rows.chunks(CHUNK_ROWS).map(|rows| parse(path, &layout, &schema, rows));
    Ok((schema.clone(), chunks.collect::<Result<_>>()?))
}

fn lines(text: &[u8]) -> Vec<Line<'_>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(lines).collect()
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b'\t')
}

/// Names from the first line, types from the values: whole numbers, else numbers, else text.
///
/// A first line with a number, a blank or a name twice is no header; taking it for one would lose a
/// row without a word.
fn infer(path: &Path, (number, header): Line<'_>, rows: &[Line<'_>]) -> Result<Layout> {
    let mut layout = Layout::new();
    for (index, name) in fields(header).enumerate() {
        let position = format!("{}", index + 1);
        let name = utf8(path, number, &position, name)?;
        if name.trim().is_empty()
            || name.parse::<f64>().is_ok()
            || layout.names().iter().any(|known| known == name)
        {
            let message = format!(
                "the first line is not a header: `{name}` is blank, a number, or there twice; \
                 declare the columns with `Dataset::open_as(path, &Layout::new().integer(\"id\").text(\"text\"))`"
            );
            return Err(Error::format(path, message));
        }
        let values = || rows.iter().filter_map(|(_, line)| fields(line).nth(index)).map(std::str::from_utf8);
        let data_type = if values().all(|value| value.is_ok_and(|value| value.parse::<i64>().is_ok())) {
            DataType::Int64
        } else if values().all(|value| value.is_ok_and(|value| finite(value).is_some())) {
            DataType::Float64
        } else {
            DataType::Utf8
        };
        layout = layout.with(name, data_type);
    }
    Ok(layout)
}

/// One column under construction.
enum Values {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Texts(StringBuilder),
}

/// Makes a record batch of some lines.
fn parse(path: &Path, layout: &Layout, schema: &SchemaRef, rows: &[Line<'_>]) -> Result<RecordBatch> {
    let names = layout.names();
    let mut columns: Vec<Values> =
        layout.fields().iter().map(|field| Values::of(field.data_type())).collect();
    for (line, text) in rows {
        let found = fields(text).count();
        if found != columns.len() {
            return Err(Error::Fields {
                path: path.into(),
                line: *line,
                found,
                expected: columns.len(),
                columns: names,
            });
        }
        for ((field, name), values) in fields(text).zip(&names).zip(&mut columns) {
            let text = utf8(path, *line, name, field)?;
            values.push(text).map_err(|message| Error::Field {
                path: path.into(),
                line: *line,
                column: name.clone(),
                message,
            })?;
        }
    }
    let columns = columns.into_iter().map(Values::finish).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| Error::format(path, error))
}

fn utf8<'a>(path: &Path, line: usize, column: &str, field: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|error| Error::Field {
        path: path.into(),
        line,
        column: column.to_owned(),
        message: format!("the text is not UTF-8 from byte {} of the field on", error.valid_up_to()),
    })
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl Values {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Values::Integers(Vec::new()),
            DataType::Float64 => Values::Floats(Vec::new()),
            _ => Values::Texts(StringBuilder::new()),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        match self {
            Values::Integers(values) => {
                values.push(text.parse().map_err(|_| format!("`{text}` is not a whole number"))?);
            }
            Values::Floats(values) => {
                values.push(finite(text).ok_or_else(|| format!("`{text}` is not a finite number"))?);
            }
            Values::Texts(values) => values.append_value(text),
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Values::Integers(values) => Arc::new(Int64Array::from(values)),
            Values::Floats(values) => Arc::new(Float64Array::from(values)),
            Values::Texts(mut values) => Arc::new(values.finish()),
        }
    }
}
