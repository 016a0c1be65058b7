//! Values of nested columns as plain data: lists, objects, text, and numbers of a row.

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use minijinja::Value;

use crate::arrays::lists::{range, values};
use crate::arrays::numbers::{Numbers, append};
use crate::arrays::text::text_at;

/// The value of a row; `None` if a value within has a type that JSON does not have.
///
/// A struct has a member for every name that any row uses, so missing members are left out: they are those that other
/// rows have.
pub(super) fn value_at(array: &ArrayRef, row: usize) -> Option<Value> {
    if array.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) {
        return Some(Value::from(()));
    }
    match array.data_type() {
        DataType::Struct(members) => {
            let columns = members.iter().zip(array.as_struct().columns());
            let members =
                columns.map(|(member, column)| Some((member.name().clone(), value_at(column, row)?)));
            let members = members.collect::<Option<Vec<_>>>()?;
            Some(Value::from_pairs(members.into_iter().filter(|(_, value)| !value.is_none())))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = [entries.column(0), entries.column(1)];
            let pairs = (0..entries.len()).map(|at| Some((value_at(keys, at)?, value_at(values, at)?)));
            Some(Value::from_pairs(pairs.collect::<Option<Vec<_>>>()?))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let items = range(array, row).map(|at| value_at(values(array), at));
            Some(Value::from(items.collect::<Option<Vec<_>>>()?))
        }
        DataType::Boolean => Some(Value::from(array.as_boolean().value(row))),
        data_type => {
            if let Some(text) = text_at(array, row) {
                return Some(Value::from(text));
            }
            let mut numbers = Numbers::for_type(data_type, 1)?;
            append(array, row..row + 1, &mut numbers).ok()?;
            match numbers {
                Numbers::Integers(values) => values.first().map(|&value| Value::from(value)),
                Numbers::Floats(values) => values.first().map(|&value| Value::from(value)),
            }
        }
    }
}
