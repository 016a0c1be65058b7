//! Checks that the files of one table agree on what their columns mean, beyond names and types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use brew_core::vocabulary::Fingerprint;

use super::features::{names_in, of_shards};
use super::vocabulary::{of_vocabulary, stated};
use crate::arrays::half::Half;
use crate::error::{Error, Result};
use crate::source::table::Table;

/// The schema of all files, with the class names and the vocabulary of whichever file has them.
///
/// # Errors
/// Classes with different names or a different order across files, token ids of different vocabularies, or
/// two-byte floats of different dtypes, by file and column.
pub(super) fn one_meaning(schema: &SchemaRef, tables: &[Table]) -> Result<SchemaRef> {
    if tables.len() < 2 {
        return Ok(schema.clone());
    }
    // A file without the column, or with nothing but nulls, says nothing about it.
    let bits = |table: &Table, column: &str| match table.schema.field_with_name(column) {
        Ok(field) if *field.data_type() != DataType::Null => Half::of(field, None).ok(),
        _ => None,
    };
    let name = |half: Option<Half>, field: &Field| match half {
        Some(half) => half.name().to_owned(),
        None => format!("{} values", field.data_type()),
    };
    // Columns with incompatible types, or missing from a file, are rejected when used.
    for field in schema.fields().iter().filter(|field| *field.data_type() != DataType::Null) {
        let column = field.name();
        let mut said = None;
        for table in tables {
            // Metadata that cannot be understood is reported when the column is read.
            let Some(found) = bits(table, column) else { continue };
            let (first, known) = *said.get_or_insert((table, found));
            if known != found {
                let message = format!(
                    "the two bytes of column `{column}` are {}, those of {} are {}: give both the same metadata \
                     `brew.dtype`",
                    name(found, field),
                    first.path.display(),
                    name(known, field)
                );
                return Err(Error::format(&*table.path, message));
            }
        }
        let mut known: Option<(&Table, Vec<String>)> = None;
        for table in tables {
            // An unreadable description is reported by `class_names`.
            let Ok(Some(names)) = names_in(table.schema.metadata(), column) else { continue };
            match &known {
                None => known = Some((table, names)),
                Some((first, others)) if *others != names => {
                    let message = format!(
                        "the classes of column `{column}` are {}, but {} in {}: a number must mean one class in \
                         all files",
                        names.join(", "),
                        others.join(", "),
                        first.path.display()
                    );
                    return Err(Error::format(&*table.path, message));
                }
                Some(_) => {}
            }
        }
    }
    let fields = schema.fields().iter().map(|field| one_vocabulary(field, tables));
    let fields = fields.collect::<Result<Vec<_>>>()?;
    let metadata = of_shards(tables.iter().map(|table| table.schema.metadata()));
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}

/// The field with the vocabulary that the files state for its column.
fn one_vocabulary(field: &Field, tables: &[Table]) -> Result<Field> {
    let mut known: Option<(&Table, Fingerprint)> = None;
    for table in tables {
        // An unreadable fingerprint is reported by `vocabulary`.
        let of_file = table.schema.field_with_name(field.name()).ok().and_then(stated);
        let Some(Ok(print)) = of_file else { continue };
        match &known {
            None => known = Some((table, print)),
            Some((first, other)) if !other.is_like(&print) => {
                let message = format!(
                    "the token ids of column `{}` are of another vocabulary than in {}: tokenise all files with one \
                     tokenizer",
                    field.name(),
                    first.path.display()
                );
                return Err(Error::format(&*table.path, message));
            }
            Some(_) => {}
        }
    }
    Ok(match known {
        Some((_, print)) => of_vocabulary(field.clone(), &print),
        None => field.clone(),
    })
}
