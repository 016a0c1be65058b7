//! The labels of a table's rows as words, whatever the type of their column.

use arrow::datatypes::DataType;
use brew_core::{Error, Result};
use brew_data::prelude::*;

use super::Columns;

/// The labels of each row.
#[derive(Debug)]
pub(super) enum Words {
    /// One class per row.
    One(Vec<String>),
    /// Any number of classes per row.
    Several(Vec<Vec<String>>),
    /// A number per row.
    Number,
}

/// What a table says of its labels.
#[derive(Debug)]
pub(super) struct Labelled {
    pub(super) words: Words,
    /// The names of the classes in an order of the table's own.
    pub(super) names: Option<Vec<String>>,
    /// Whether the labels are numbers without names, so that the words are digits.
    pub(super) digits: bool,
}

/// Reads the column of labels.
///
/// # Errors
/// A column that is missing or of a type that no label has; by row: a missing value, a number that is not finite, or a
/// class number that has no name.
pub(super) fn read(table: &Dataset, columns: &Columns) -> Result<Labelled> {
    let column = columns.label.as_str();
    let refused = |message: String| Error::file(table.path(), format!("column `{column}` {message}"));
    let names = table.class_names(column)?;
    let (mut data_type, mut depth) =
        (table.schema().field_with_name(column).map_err(Error::other)?.data_type(), 0);
    let of_fixed_length = matches!(data_type, DataType::FixedSizeList(..));
    loop {
        data_type = match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                depth += 1;
                item.data_type()
            }
            DataType::Dictionary(_, values) => values,
            _ => break,
        };
    }
    let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_whole = data_type.is_integer() || *data_type == DataType::Boolean;
    let word = |row: usize, number: i64| match (&names, data_type) {
        (Some(names), _) => {
            usize::try_from(number).ok().and_then(|place| names.get(place)).cloned().ok_or_else(|| {
                refused(format!(
                    "has the class number {number} in row {row} (from 0), and names {} classes",
                    names.len()
                ))
            })
        }
        (None, DataType::Boolean) => Ok(["false", "true"][usize::from(number != 0)].to_owned()),
        (None, _) => Ok(number.to_string()),
    };
    let one = |numbers: Vec<i64>| {
        numbers.into_iter().enumerate().map(|(row, number)| word(row, number)).collect::<Result<Vec<_>>>()
    };
    if columns.number || (depth == 0 && data_type.is_floating()) {
        let numbers = table.column(column).to_floats().as_(column)?.floats(column)?;
        if let Some(row) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(refused(format!(
                "is {} in row {row} (from 0): a number to predict must be finite",
                numbers[row]
            )));
        }
        return Ok(Labelled { words: Words::Number, names: None, digits: false });
    }
    let words = match (depth, &columns.separator) {
        (0, Some(separator)) if is_text => Words::Several(split(&table.texts(column)?, separator)),
        (_, Some(separator)) => {
            return Err(refused(format!("is no text that `--separator {separator}` could divide: omit it")));
        }
        (0, None) if is_text => Words::One(table.texts(column)?),
        (0, None) if is_whole => Words::One(one(table.integers(column)?)?),
        (1, None) if is_text => Words::Several(table.text_lists(column)?),
        (1, None) if is_whole => {
            let lists = table.integer_lists(column)?;
            if of_fixed_length && lists.iter().flatten().all(|value| matches!(value, 0 | 1)) {
                return Err(refused(
                    "has lists of one length of 0 and 1, which may be one value per class or two classes' numbers: give lists of the names of the classes".to_owned(),
                ));
            }
            Words::Several(
                lists
                    .into_iter()
                    .enumerate()
                    .map(|(row, list)| list.into_iter().map(|number| word(row, number)).collect())
                    .collect::<Result<_>>()?,
            )
        }
        _ => {
            return Err(refused(
                "has a type that is no label: labels are words, whole numbers, lists of either, or numbers"
                    .to_owned(),
            ));
        }
    };
    let digits = is_whole && names.is_none() && *data_type != DataType::Boolean;
    Ok(Labelled { words, names, digits })
}

/// The labels in each text; white space around them does not count, and an empty text has none.
fn split(texts: &[String], separator: &str) -> Vec<Vec<String>> {
    let of_row = |text: &String| {
        text.split(separator).map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    texts.iter().map(of_row).collect()
}

impl Words {
    /// In a word, for messages.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Words::One(_) => "one class per row",
            Words::Several(_) => "lists of classes",
            Words::Number => "numbers",
        }
    }

    /// Every label of every row.
    pub(super) fn all(&self) -> Vec<&String> {
        match self {
            Words::One(words) => words.iter().collect(),
            Words::Several(rows) => rows.iter().flatten().collect(),
            Words::Number => Vec::new(),
        }
    }

    /// Those of some rows.
    pub(super) fn of(&self, rows: &[usize]) -> Words {
        match self {
            Words::One(words) => Words::One(rows.iter().map(|row| words[*row].clone()).collect()),
            Words::Several(lists) => Words::Several(rows.iter().map(|row| lists[*row].clone()).collect()),
            Words::Number => Words::Number,
        }
    }
}
