//! Numbers of any width: integers as i64, floats as f64.

use std::ops::Range;

use arrow::array::Array;
use arrow::array::cast::AsArray;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// Gathered values.
#[derive(Debug)]
pub(crate) enum Numbers {
    /// From an integer column, or from a bool column as 0 and 1.
    Integers(Vec<i64>),
    /// From a float column.
    Floats(Vec<f64>),
}

impl Numbers {
    /// An empty buffer for values of this type; `None` if the type is not numeric.
    pub(crate) fn for_type(data_type: &DataType, capacity: usize) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Numbers::Integers(Vec::with_capacity(capacity))),
            DataType::Dictionary(_, values) => Self::for_type(values, capacity),
            integer if integer.is_integer() => Some(Numbers::Integers(Vec::with_capacity(capacity))),
            float if float.is_floating() => Some(Numbers::Floats(Vec::with_capacity(capacity))),
            _ => None,
        }
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Numbers::Integers(values) => values.len(),
            Numbers::Floats(values) => values.len(),
        }
    }

    /// Whether they are integers, among which only a pad value that [is whole](is_whole) can stand.
    pub(crate) fn are_integers(&self) -> bool {
        matches!(self, Numbers::Integers(_))
    }

    /// Appends `pad` until there are `length` values.
    pub(crate) fn pad_to(&mut self, length: usize, pad: f64) {
        match self {
            Numbers::Integers(values) => values.resize(length, pad as i64),
            Numbers::Floats(values) => values.resize(length, pad),
        }
    }
}

/// Appends the values of `range` to `into`, which must fit the array's type.
pub(crate) fn append(array: &dyn Array, range: Range<usize>, into: &mut Numbers) -> Result<(), String> {
    match (array.data_type(), into) {
        (DataType::Boolean, Numbers::Integers(into)) => {
            let values = array.as_boolean().values();
            into.extend(range.map(|index| i64::from(values.value(index))));
            Ok(())
        }
        (DataType::Int8, Numbers::Integers(into)) => integers::<Int8Type>(array, range, into),
        (DataType::Int16, Numbers::Integers(into)) => integers::<Int16Type>(array, range, into),
        (DataType::Int32, Numbers::Integers(into)) => integers::<Int32Type>(array, range, into),
        (DataType::Int64, Numbers::Integers(into)) => {
            into.extend_from_slice(&array.as_primitive::<Int64Type>().values()[range]);
            Ok(())
        }
        (DataType::UInt8, Numbers::Integers(into)) => integers::<UInt8Type>(array, range, into),
        (DataType::UInt16, Numbers::Integers(into)) => integers::<UInt16Type>(array, range, into),
        (DataType::UInt32, Numbers::Integers(into)) => integers::<UInt32Type>(array, range, into),
        (DataType::UInt64, Numbers::Integers(into)) => {
            for &value in &array.as_primitive::<UInt64Type>().values()[range] {
                let signed = i64::try_from(value);
                into.push(signed.map_err(|_| format!("{value} does not fit a signed number of 64 bits"))?);
            }
            Ok(())
        }
        (DataType::Float16, Numbers::Floats(into)) => floats::<Float16Type>(array, range, into),
        (DataType::Float32, Numbers::Floats(into)) => floats::<Float32Type>(array, range, into),
        (DataType::Float64, Numbers::Floats(into)) => floats::<Float64Type>(array, range, into),
        (DataType::Dictionary(..), into) => {
            dictionary_values(array, range, |values, range| append(values, range, into))
        }
        (other, _) => Err(format!("a value of type {other} is not of the column's own type")),
    }
}

/// Calls `tell` with each value of a dictionary array.
pub(crate) fn dictionary_values(
    array: &dyn Array,
    range: Range<usize>,
    mut tell: impl FnMut(&dyn Array, Range<usize>) -> Result<(), String>,
) -> Result<(), String> {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return Err("a dictionary that cannot be read".to_owned());
    };
    let mut keys = Numbers::Integers(Vec::with_capacity(range.len()));
    append(dictionary.keys(), range, &mut keys)?;
    let Numbers::Integers(keys) = keys else { return Ok(()) };
    keys.into_iter().try_for_each(|key| tell(dictionary.values().as_ref(), key as usize..key as usize + 1))
}

fn integers<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &dyn Array,
    range: Range<usize>,
    into: &mut Vec<i64>,
) -> Result<(), String> {
    into.extend(array.as_primitive::<T>().values()[range].iter().map(|&value| value.into()));
    Ok(())
}

fn floats<T: ArrowPrimitiveType<Native: Into<f64>>>(
    array: &dyn Array,
    range: Range<usize>,
    into: &mut Vec<f64>,
) -> Result<(), String> {
    into.extend(array.as_primitive::<T>().values()[range].iter().map(|&value| value.into()));
    Ok(())
}
