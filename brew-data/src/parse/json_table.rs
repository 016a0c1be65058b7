//! Reads JSON rows with known columns into record batches.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::columns::Unreadable;
use super::json::Json;
use super::json_builder::JsonBuilder;
use super::json_lines::nested;
use super::json_object::object;
use super::json_rows::JsonRows;
use super::{Chunk, Emit, ParseError};

/// Reads every row of a file with these columns.
///
/// # Errors
/// There are no rows, a row is not an object, or a value does not match its column's type.
pub(crate) fn read(
    reader: impl BufRead,
    schema: &SchemaRef,
    unreadable: &[Option<Unreadable>],
    emit: &mut Emit<'_>,
) -> Result<(), ParseError> {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let names: HashMap<&str, Option<usize>> = names
        .zip(unreadable)
        .enumerate()
        .map(|(place, (name, unreadable))| (name, unreadable.is_none().then_some(place)))
        .collect();
    let mut values: Vec<JsonBuilder> =
        schema.fields().iter().map(|field| JsonBuilder::of_field(field)).collect();
    let mut rows = JsonRows::new(reader);
    let mut chunk = Chunk::default();
    while let Some((line, text)) = rows.next()? {
        let members = object(line, text)?;
        append(line, None, &members, &names, &mut values)?;
        let full = chunk.add(text.len());
        // Members that the row lacks are missing values.
        values.iter_mut().for_each(|values| values.fill(chunk.rows()));
        if full {
            emit(batch(schema, &mut values)?)?;
            chunk.emitted();
        }
    }
    if chunk.is_left()? { emit(batch(schema, &mut values)?) } else { Ok(()) }
}

/// Adds the members of an object to their columns; unreadable columns are skipped.
fn append(
    line: usize,
    within: Option<&str>,
    members: &[(String, Json)],
    names: &HashMap<&str, Option<usize>>,
    values: &mut [JsonBuilder],
) -> Result<(), ParseError> {
    for (key, value) in members {
        let name = nested(within, key);
        match (value, names.get(name.as_str())) {
            (Json::Null, _) | (_, Some(None)) => {}
            (_, Some(&Some(place))) => {
                values[place].push(value).map_err(|message| ParseError::field(line, name, message))?;
            }
            (Json::Object(members), None) => append(line, Some(&name), members, names, values)?,
            (_, None) => {
                let message = "the column did not exist when the file was scanned: the file has changed";
                return Err(ParseError::field(line, name, message));
            }
        }
    }
    Ok(())
}

fn batch(schema: &SchemaRef, values: &mut [JsonBuilder]) -> Result<RecordBatch, ParseError> {
    let columns = schema.fields().iter().zip(values).map(|(field, values)| values.finish(field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns));
    batch.map_err(|error| ParseError::Text(error.to_string()))
}
