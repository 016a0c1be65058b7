//! Whether files that are to be one table say the same of their columns, beside names and types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::features::{names_in, of_shards};
use crate::arrays::half::Half;
use crate::error::{Error, Result};
use crate::source::table::Table;

/// The schema of all files together: with the names of classes of whichever file has some.
///
/// # Errors
/// A column whose classes have other names, or another order, in another file, or whose two bytes are another
/// number, by file and column.
pub(super) fn one_meaning(schema: &SchemaRef, tables: &[Table]) -> Result<SchemaRef> {
    let [first, others @ ..] = tables else { return Ok(schema.clone()) };
    // A file that lacks the column says nothing of it, and one of nothing but nulls neither.
    let bits = |table: &Table, column: &str| match table.schema.field_with_name(column) {
        Ok(field) if *field.data_type() != DataType::Null => Half::of(field, None).ok(),
        _ => None,
    };
    let name = |half: Option<Half>, field: &Field| match half {
        Some(half) => half.name().to_owned(),
        None => format!("{} values", field.data_type()),
    };
    // Columns whose types differ, or that a file lacks, are refused for that when they are used.
    for field in schema.fields().iter().filter(|field| *field.data_type() != DataType::Null) {
        let column = field.name();
        for other in others {
            // What no reader can make out is told by those who read it.
            if let (Some(known), Some(found)) = (bits(first, column), bits(other, column))
                && known != found
            {
                let message = format!(
                    "the two bytes of column `{column}` are {}, those of {} are {}: give both the same metadata \
                     `brew.dtype`",
                    name(found, field),
                    first.path.display(),
                    name(known, field)
                );
                return Err(Error::format(&*other.path, message));
            }
        }
        let mut known: Option<(&Table, Vec<String>)> = None;
        for table in tables {
            // A description that cannot be read is told by `class_names`.
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
    let metadata = of_shards(tables.iter().map(|table| table.schema.metadata()));
    Ok(Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata)))
}
