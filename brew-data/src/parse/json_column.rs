//! A column of JSON rows during the scan: the type of its values so far.

use super::columns::Unreadable;
use super::json::Json;
use super::json_type::JsonType;

/// The object that contains a key: the length of the object's name within the key's full name. This
/// distinguishes `{"a.b": {"c": 1}}`, `{"a": {"b.c": 1}}`, and `{"a.b.c": 1}`.
pub(super) type Within = Option<usize>;

/// A column, and why it cannot be read, if so.
#[derive(Debug)]
pub(super) struct JsonColumn {
    pub(super) name: String,
    pub(super) within: Within,
    pub(super) shape: JsonType,
    /// The number of rows that have it.
    pub(super) present: usize,
    /// The file and row that determined its type.
    pub(super) first: (usize, usize),
    pub(super) unreadable: Option<Unreadable>,
}

/// The position of a row.
#[derive(Clone, Copy)]
pub(super) struct RowPlace {
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) row: usize,
}

impl JsonColumn {
    pub(super) fn see(&mut self, place: RowPlace, value: &Json) {
        if self.unreadable.is_some() || *value == Json::Null {
            return;
        }
        self.present += 1;
        let shape = match JsonType::of(value) {
            Ok(shape) => shape,
            Err(found) => return self.refuse_as(place, format!("the value is {found}")),
        };
        if self.shape == JsonType::Null {
            self.first = (place.file, place.row);
        }
        match self.shape.clone().joined(&shape) {
            Some(joined) => self.shape = joined,
            None => {
                let is_list = matches!(value, Json::List(_));
                let found = if is_list { shape.in_words() } else { value.kind().to_owned() };
                self.refuse(place, &found);
            }
        }
    }

    /// Marks the column unreadable: a value differs from those before it.
    pub(super) fn refuse(&mut self, place: RowPlace, found: &str) {
        let (file, row) = self.first;
        let known = self.shape.in_words();
        let message = if file == place.file {
            format!("the value is {found}, where row {row} holds {known}")
        } else {
            format!("the value is {found}, where the files before it hold {known}")
        };
        self.refuse_as(place, format!("{message}; a column holds values of one type"));
    }

    pub(super) fn refuse_as(&mut self, place: RowPlace, message: String) {
        if self.unreadable.is_none() {
            let message = format!("row {}: {message}", place.row);
            self.unreadable = Some(Unreadable { file: place.file, line: place.line, message });
        }
    }
}
