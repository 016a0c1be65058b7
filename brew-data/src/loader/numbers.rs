//! Numbers of a column on their way to a tensor: gathered wide, then narrowed without loss.
//!
//! Every integer type is gathered as i64 and every float type as f64, so that the conversion to the
//! dtype of the batch is written, and checked, once.

use std::fmt::Display;
use std::ops::Range;

use arrow::array::Array;
use arrow::array::cast::AsArray;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use brew_core::tch::{Kind, TchError, Tensor};

/// Gathered values.
#[derive(Debug)]
pub(crate) enum Numbers {
    /// Of an integer column, or a bool column as 0 and 1.
    Integers(Vec<i64>),
    /// Of a float column.
    Floats(Vec<f64>),
}

/// A value, by position, that the dtype cannot hold; or libtorch's refusal.
#[derive(Debug)]
pub(crate) enum Misfit {
    Value { position: usize, message: String },
    Torch(TchError),
}

impl Numbers {
    /// Room for values of this type; nothing where the type is not one of numbers.
    pub(crate) fn for_type(data_type: &DataType, capacity: usize) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Numbers::Integers(Vec::with_capacity(capacity))),
            DataType::Dictionary(_, values) => Self::for_type(values, capacity),
            integer if integer.is_integer() => Some(Numbers::Integers(Vec::with_capacity(capacity))),
            float if float.is_floating() => Some(Numbers::Floats(Vec::with_capacity(capacity))),
            _ => None,
        }
    }

    /// How many there are.
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

    /// Fills up to `length` values with `pad`.
    pub(crate) fn pad_to(&mut self, length: usize, pad: f64) {
        match self {
            Numbers::Integers(values) => values.resize(length, pad as i64),
            Numbers::Floats(values) => values.resize(length, pad),
        }
    }

    /// A tensor of one dimension.
    pub(crate) fn to_tensor(&self, kind: Kind) -> Result<Tensor, Misfit> {
        let tensor = match (self, kind) {
            (Numbers::Integers(values), Kind::Int64) => Tensor::f_from_slice(values),
            (Numbers::Integers(values), Kind::Int) => Tensor::f_from_slice(&narrow::<i32>(values, kind)?),
            (Numbers::Integers(values), Kind::Int16) => Tensor::f_from_slice(&narrow::<i16>(values, kind)?),
            (Numbers::Integers(values), Kind::Int8) => Tensor::f_from_slice(&narrow::<i8>(values, kind)?),
            (Numbers::Integers(values), Kind::Uint8) => Tensor::f_from_slice(&narrow::<u8>(values, kind)?),
            (Numbers::Integers(values), Kind::Bool) => {
                refuse(values, kind, |value| !matches!(value, 0 | 1))?;
                Tensor::f_from_slice(&values.iter().map(|&value| value == 1).collect::<Vec<_>>())
            }
            (Numbers::Integers(values), _) => {
                let exact = largest_exact_integer(kind);
                refuse(values, kind, |value| value.unsigned_abs() > exact)?;
                Tensor::f_from_slice(&values.iter().map(|&value| value as f64).collect::<Vec<_>>())
            }
            (Numbers::Floats(values), _) => {
                let largest = largest_finite(kind);
                refuse(values, kind, |value| value.is_finite() && value.abs() > largest)?;
                Tensor::f_from_slice(values)
            }
        };
        tensor.and_then(|tensor| tensor.f_to_kind(kind)).map_err(Misfit::Torch)
    }
}

/// Whether a column of this type can become a tensor of this dtype, value by value.
pub(crate) fn fits(data_type: &DataType, kind: Kind) -> bool {
    if let DataType::Dictionary(_, values) = data_type {
        return fits(values, kind);
    }
    match kind {
        Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8 | Kind::Bool => {
            data_type.is_integer() || *data_type == DataType::Boolean
        }
        kind if is_float(kind) => {
            data_type.is_integer() || data_type.is_floating() || *data_type == DataType::Boolean
        }
        _ => false,
    }
}

/// Whether the dtype is one of floats.
pub(crate) fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16)
}

/// Whether the dtype can hold this value.
pub(crate) fn pad_fits(pad: f64, kind: Kind) -> bool {
    match kind {
        kind if is_float(kind) => !pad.is_finite() || pad.abs() <= largest_finite(kind),
        _ => pad.fract() == 0.0 && Numbers::Integers(vec![pad as i64]).to_tensor(kind).is_ok(),
    }
}

/// Whether a pad value is an integer that the dtype holds exactly.
pub(crate) fn is_whole(pad: f64, kind: Kind) -> bool {
    pad.fract() == 0.0 && pad.abs() <= largest_exact_integer(kind) as f64
}

/// 2 to the number of significant bits of a float dtype: whole numbers up to it are exact.
fn largest_exact_integer(kind: Kind) -> u64 {
    match kind {
        Kind::BFloat16 => 1 << 8,
        Kind::Half => 1 << 11,
        Kind::Float => 1 << 24,
        _ => 1 << 53,
    }
}

/// The largest finite value of a float dtype; bfloat16 has the exponents of f32 and 8 bits of precision.
fn largest_finite(kind: Kind) -> f64 {
    match kind {
        Kind::Half => 65_504.0,
        Kind::BFloat16 => f64::from(f32::from_bits(0x7f7f_0000)),
        Kind::Float => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

fn narrow<T: TryFrom<i64>>(values: &[i64], kind: Kind) -> Result<Vec<T>, Misfit> {
    let narrowed = values
        .iter()
        .enumerate()
        .map(|(position, &value)| T::try_from(value).map_err(|_| misfit(position, value, kind)));
    narrowed.collect()
}

fn refuse<T: Copy + Display>(values: &[T], kind: Kind, is_misfit: impl Fn(T) -> bool) -> Result<(), Misfit> {
    match values.iter().position(|&value| is_misfit(value)) {
        None => Ok(()),
        Some(position) => Err(misfit(position, values[position], kind)),
    }
}

fn misfit(position: usize, value: impl Display, kind: Kind) -> Misfit {
    Misfit::Value { position, message: format!("{value} does not fit the batch's dtype {kind:?}") }
}

/// Adds the values of `range` to `into`, which was made for the array's type.
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

/// Tells the values of a dictionary column one after another.
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
