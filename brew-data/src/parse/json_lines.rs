//! JSON lines: one object a line, whose members are the columns.
//!
//! An object in an object is no column of its own; its members are, as `outer.inner`. A member that a
//! line lacks is a missing value.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};

use super::json::{Json, object};
use super::lines::Lines;
use super::shape::{Shape, Values};
use super::{Chunk, Emit, Problem};

/// More columns than this are keys that should have been values; it bounds the memory they take.
const MOST_COLUMNS: usize = 10_000;

/// The columns of one or several files.
#[derive(Debug, Default)]
pub(crate) struct Inference {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
    /// Names of objects, whose members are the columns, and the object that each is in.
    objects: HashMap<String, Within>,
    rows: usize,
}

/// The object that a key is in: how much of the key's name is the object's. With the name of the object this
/// tells `{"a.b": {"c": 1}}`, `{"a": {"b.c": 1}}` and `{"a.b.c": 1}` apart.
type Within = Option<usize>;

#[derive(Debug)]
struct Column {
    name: String,
    within: Within,
    shape: Shape,
    /// Lines that have it; the rest lack it.
    present: usize,
}

impl Inference {
    /// Looks through a whole file.
    ///
    /// # Errors
    /// A line that is not an object; a value of another type than its column's in the lines before.
    pub(crate) fn scan(&mut self, reader: impl BufRead) -> Result<(), Problem> {
        let mut lines = Lines::new(reader);
        while let Some((line, text)) = lines.next()? {
            if text.trim_ascii().is_empty() {
                continue;
            }
            self.members(line, None, &object(line, text)?)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn members(
        &mut self,
        line: usize,
        within: Option<&str>,
        members: &[(String, Json)],
    ) -> Result<(), Problem> {
        for (key, value) in members {
            let name = nested(within, key);
            self.check_key(line, &name, within.map(str::len))?;
            if let Json::Object(members) = value {
                let known = self.places.get(&name).map(|&place| &self.columns[place].shape);
                if let Some(known) = known.filter(|known| **known != Shape::Null) {
                    return Err(Problem::field(line, name, known.refusal(value)));
                }
                self.objects.insert(name.clone(), within.map(str::len));
                self.members(line, Some(&name), members)?;
                continue;
            }
            if self.objects.contains_key(&name) && *value != Json::Null {
                let message = format!("{}, but an object in the lines before it", value.kind());
                return Err(Problem::field(line, name, message));
            }
            let place = self.place(line, &name, within.map(str::len))?;
            let column = &mut self.columns[place];
            column.shape.widen(value).map_err(|message| Problem::field(line, &name, message))?;
            column.present += usize::from(*value != Json::Null);
        }
        Ok(())
    }

    /// Refuses a key that another key, of another object, is called like: two values would be one row's.
    fn check_key(&self, line: usize, name: &str, within: Within) -> Result<(), Problem> {
        let column = self.places.get(name).map(|&place| &self.columns[place].within);
        let Some(&known) = self.objects.get(name).or(column).filter(|known| **known != within) else {
            return Ok(());
        };
        let key = |within: Within| match within {
            None => format!("the key `{name}`"),
            Some(length) => format!("the key `{}` of the object `{}`", &name[length + 1..], &name[..length]),
        };
        let message = format!(
            "two different keys are called so, {} and {}: rename one of them",
            key(known),
            key(within)
        );
        Err(Problem::field(line, name, message))
    }

    fn place(&mut self, line: usize, name: &str, within: Within) -> Result<usize, Problem> {
        if let Some(&place) = self.places.get(name) {
            return Ok(place);
        }
        if self.columns.len() == MOST_COLUMNS {
            let message = format!("there are more than {MOST_COLUMNS} keys, and each is a column");
            return Err(Problem::field(line, name, message));
        }
        self.columns.push(Column { name: name.to_owned(), within, shape: Shape::Null, present: 0 });
        self.places.insert(name.to_owned(), self.columns.len() - 1);
        Ok(self.columns.len() - 1)
    }

    /// The schema, where there was a row.
    pub(crate) fn schema(self) -> Result<Schema, Problem> {
        if self.rows == 0 {
            return Err(Problem::NoRows);
        }
        let columns = self.columns.into_iter().filter(|column| !self.objects.contains_key(&column.name));
        let fields: Vec<_> = columns
            .map(|column| {
                let missing = column.present < self.rows;
                Field::new(column.name, column.shape.data_type(), missing)
            })
            .collect();
        if fields.is_empty() {
            return Err(Problem::Text("the objects have no member, so that there is no column".to_owned()));
        }
        Ok(Schema::new(fields))
    }
}

/// The name of a member of an object.
fn nested(within: Option<&str>, key: &str) -> String {
    within.map_or_else(|| key.to_owned(), |within| format!("{within}.{key}"))
}

/// Reads every row of a file with these columns.
///
/// # Errors
/// No row; a line that is not an object; a value of another type than its column's.
pub(crate) fn read(reader: impl BufRead, schema: &SchemaRef, emit: &mut Emit<'_>) -> Result<(), Problem> {
    let places: HashMap<&str, usize> =
        schema.fields().iter().enumerate().map(|(place, field)| (field.name().as_str(), place)).collect();
    let mut values: Vec<Values> = schema.fields().iter().map(|field| Values::of(field.data_type())).collect();
    let mut lines = Lines::new(reader);
    let mut chunk = Chunk::default();
    while let Some((line, text)) = lines.next()? {
        if text.trim_ascii().is_empty() {
            continue;
        }
        let members = object(line, text)?;
        append(line, None, &members, &places, &mut values)?;
        let full = chunk.add(text.len());
        // What the line lacks is missing.
        values.iter_mut().for_each(|values| values.fill(chunk.rows()));
        if full {
            emit(batch(schema, &mut values)?)?;
            chunk.emitted();
        }
    }
    if chunk.is_left()? { emit(batch(schema, &mut values)?) } else { Ok(()) }
}

fn append(
    line: usize,
    within: Option<&str>,
    members: &[(String, Json)],
    places: &HashMap<&str, usize>,
    values: &mut [Values],
) -> Result<(), Problem> {
    for (key, value) in members {
        let name = nested(within, key);
        match (value, places.get(name.as_str())) {
            (Json::Null, _) => {}
            (_, Some(&place)) => {
                values[place].push(value).map_err(|message| Problem::field(line, name, message))?;
            }
            (Json::Object(members), None) => append(line, Some(&name), members, places, values)?,
            (_, None) => {
                let message =
                    "the column was not there when the file was first looked through: it has changed";
                return Err(Problem::field(line, name, message));
            }
        }
    }
    Ok(())
}

fn batch(schema: &SchemaRef, values: &mut [Values]) -> Result<RecordBatch, Problem> {
    let columns = schema.fields().iter().zip(values).map(|(field, values)| values.finish(field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns));
    batch.map_err(|error| Problem::Text(error.to_string()))
}
