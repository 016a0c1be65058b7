//! Infers the columns of JSON rows from the members of the objects.
//!
//! A nested object is not a column itself; its members are, as `outer.inner`. A missing member is a missing
//! value. A column whose values do not fit together is known, but not read.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use super::ParseError;
use super::columns::InferredColumns;
use super::json::{Json, Members};
use super::json_alone::table_of;
use super::json_column::{JsonColumn, RowPlace, Within};
use super::json_object::object;
use super::json_rows::JsonRows;
use super::json_type::JsonType;

/// The maximum number of columns: more are keys that should have been values. Bounds the memory.
const MOST_COLUMNS: usize = 10_000;

/// The columns of one or more files.
#[derive(Debug, Default)]
pub(crate) struct JsonInference {
    columns: Vec<JsonColumn>,
    places: HashMap<String, usize>,
    /// The names of nested objects, and the object that contains each.
    objects: HashMap<String, Within>,
    rows: usize,
    /// Files scanned so far.
    files: usize,
    /// The error if the only file is one object of lists, which may be columns.
    of_lists: Option<ParseError>,
}

impl JsonInference {
    /// Scans a whole file. Where its name says that a line is a row (`named_lines`), lists of one length on its
    /// only line are one.
    ///
    /// # Errors
    /// A row is not an object, or the file's only object is a table.
    pub(crate) fn scan(&mut self, reader: impl BufRead, named_lines: bool) -> Result<(), ParseError> {
        let mut rows = JsonRows::new(reader);
        let (file, mut row) = (self.files, 0);
        self.files += 1;
        let mut read = next_row(&mut rows)?;
        while let Some((line, members)) = read {
            read = next_row(&mut rows)?;
            if row == 0 && read.is_none() && !rows.are_listed() {
                self.alone(line, &members, named_lines && rows.are_lines())?;
            }
            self.members(RowPlace { file, line, row }, None, &members)?;
            self.rows += 1;
            row += 1;
        }
        Ok(())
    }

    /// Rejects a file's only object if it is a table.
    fn alone(&mut self, line: usize, members: &[(String, Json)], is_row: bool) -> Result<(), ParseError> {
        match table_of(members) {
            None => Ok(()),
            Some(table) if table.of_lists && is_row => Ok(()),
            Some(table) if table.of_lists => {
                self.of_lists = Some(ParseError::line(line, table.message));
                Ok(())
            }
            Some(table) => Err(ParseError::line(line, table.message)),
        }
    }

    fn members(
        &mut self,
        place: RowPlace,
        within: Option<&str>,
        members: &[(String, Json)],
    ) -> Result<(), ParseError> {
        for (key, value) in members {
            let name = nested(within, key);
            self.check_key(place.line, &name, within.map(str::len))?;
            if let Json::Object(members) = value {
                let known = self.places.get(&name).map(|&known| &mut self.columns[known]);
                match known.filter(|known| known.unreadable.is_some() || known.shape != JsonType::Null) {
                    Some(known) => known.refuse(place, "an object"),
                    None => {
                        self.objects.insert(name.clone(), within.map(str::len));
                        self.members(place, Some(&name), members)?;
                    }
                }
                continue;
            }
            if *value == Json::Null && self.objects.contains_key(&name) {
                continue;
            }
            if self.columns.len() == MOST_COLUMNS && !self.places.contains_key(&name) {
                self.too_many(place, within)?;
                return Ok(());
            }
            let was_object = self.objects.contains_key(&name);
            let column = self.column(place, name, within.map(str::len));
            if was_object {
                let found = value.kind();
                column
                    .refuse_as(place, format!("the value is {found}, where a row before it holds an object"));
            } else {
                column.see(place, value);
            }
        }
        Ok(())
    }

    /// Rejects a key with the same full name as a key of another object: a row would have two values.
    fn check_key(&self, line: usize, name: &str, within: Within) -> Result<(), ParseError> {
        let column = self.places.get(name).map(|&place| &self.columns[place].within);
        let Some(&known) = self.objects.get(name).or(column).filter(|known| **known != within) else {
            return Ok(());
        };
        let key = |within: Within| match within {
            None => format!("the key `{name}`"),
            Some(length) => format!("the key `{}` of the object `{}`", &name[length + 1..], &name[..length]),
        };
        let message = format!(
            "two different keys have this name, {} and {}: rename one of them",
            key(known),
            key(within)
        );
        Err(ParseError::field(line, name, message))
    }

    fn column(&mut self, place: RowPlace, name: String, within: Within) -> &mut JsonColumn {
        let known = self.places.get(&name).copied().unwrap_or_else(|| {
            let first = (place.file, place.row);
            self.places.insert(name.clone(), self.columns.len());
            self.columns.push(JsonColumn {
                name,
                within,
                shape: JsonType::Null,
                present: 0,
                first,
                unreadable: None,
            });
            self.columns.len() - 1
        });
        &mut self.columns[known]
    }

    /// Gives up on the members of an object with too many keys.
    fn too_many(&mut self, place: RowPlace, within: Option<&str>) -> Result<(), ParseError> {
        let message = format!("there are more than {MOST_COLUMNS} keys, and each is a column");
        let Some(object) = within else { return Err(ParseError::line(place.line, message)) };
        let outer = self.objects.get(object).copied().flatten();
        self.column(place, object.to_owned(), outer).refuse_as(place, message);
        self.drop_members();
        Ok(())
    }

    /// Drops the member columns of objects that are rejected as a whole.
    fn drop_members(&mut self) {
        let unreadable: HashSet<String> = self
            .columns
            .iter()
            .filter(|column| column.unreadable.is_some() && self.objects.contains_key(&column.name))
            .map(|column| column.name.clone())
            .collect();
        if unreadable.is_empty() {
            return;
        }
        let is_within =
            |name: &str| name.match_indices('.').any(|(end, _)| unreadable.contains(&name[..end]));
        self.columns.retain(|column| !is_within(&column.name));
        self.places = self.columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
    }

    /// The columns, if there was a row.
    ///
    /// # Errors
    /// There is no row, or no member in any row; or a single file's only object is a table.
    pub(crate) fn columns(mut self) -> Result<InferredColumns, ParseError> {
        if let (1, Some(problem)) = (self.files, self.of_lists.take()) {
            return Err(problem);
        }
        if self.rows == 0 {
            return Err(ParseError::NoRows);
        }
        self.drop_members();
        let (objects, rows) = (&self.objects, self.rows);
        let columns = self.columns.into_iter();
        let columns =
            columns.filter(|column| column.unreadable.is_some() || !objects.contains_key(&column.name));
        let columns = InferredColumns::new(columns.map(|column| {
            let missing = column.present < rows;
            (column.shape.field(column.name, missing), column.unreadable)
        }));
        if columns.unreadable.is_empty() {
            return Err(ParseError::Text(
                "the objects have no member, so that there is no column".to_owned(),
            ));
        }
        Ok(columns)
    }
}

/// The first line of a row, and its members.
type Row = (usize, Members);

/// The next row.
fn next_row(rows: &mut JsonRows<impl BufRead>) -> Result<Option<Row>, ParseError> {
    rows.next()?.map(|(line, text)| Ok((line, object(line, text)?))).transpose()
}

/// The full name of a member.
pub(super) fn nested(within: Option<&str>, key: &str) -> String {
    within.map_or_else(|| key.to_owned(), |within| format!("{within}.{key}"))
}
