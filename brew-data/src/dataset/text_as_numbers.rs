//! The error for a text column read as numbers: why it is text, and how to cast it.

use arrow::datatypes::{DataType, FieldRef};

use super::Dataset;
use crate::arrays::text::text_at;
use crate::error::Error;
use crate::parse::infer::is_identifier;

impl Dataset {
    /// As [`Dataset::wrong_type`], if numbers were asked for (`whole`: whole numbers).
    pub(crate) fn not_numbers(&self, field: &FieldRef, needed: &str, whole: bool) -> Error {
        if !matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return self.wrong_type(field, needed);
        }
        let (column, call) = (field.name(), if whole { "to_integers" } else { "to_floats" });
        let why = self.first_identifier(column).map_or_else(String::new, |(row, text)| {
            format!(": row {row} is `{text}`, and numbers have no leading zero and no `+`")
        });
        // Digits with a zero before them name no class.
        let classes = match whole && why.is_empty() {
            true => ", and `.to_classes([…])` in its place makes numbers of the names of classes",
            false => "",
        };
        let mend = format!("`.column({column:?}).{call}().as_({column:?})` makes numbers of text{classes}");
        self.wrong_type(field, &format!("{needed}{why}; {mend}"))
    }

    /// The first row whose text is an identifier, and that text.
    fn first_identifier(&self, column: &str) -> Option<(usize, String)> {
        let chunks = self.column_chunks(column).ok()?;
        (0..self.rows).find_map(|row| {
            let (chunk, offset) = self.locate(row);
            let text = text_at(&chunks[chunk], offset).filter(|text| is_identifier(text))?;
            Some((self.place(row).1, text.to_owned()))
        })
    }
}
