//! Converts numbers to a tensor of the dtype that a batch declares, without loss.
//!
//! The conversion to each dtype is written and checked in one place.

use std::fmt::Display;

use arrow::datatypes::DataType;
use brew_core::tch::{Kind, TchError, Tensor};

use crate::arrays::numbers::Numbers;

/// A value, by position, that does not fit the dtype; or libtorch's error.
#[derive(Debug)]
pub(crate) enum Misfit {
    Value { position: usize, message: String },
    Torch(TchError),
}

impl Numbers {
    /// A tensor of shape (values,).
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

/// Whether values of this type can become a tensor of this dtype.
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

/// Whether this is a float dtype.
pub(crate) fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16)
}

/// Whether the dtype can hold this pad value.
pub(crate) fn pad_fits(pad: f64, kind: Kind) -> bool {
    match kind {
        kind if is_float(kind) => !pad.is_finite() || pad.abs() <= largest_finite(kind),
        _ => pad.fract() == 0.0 && Numbers::Integers(vec![pad as i64]).to_tensor(kind).is_ok(),
    }
}

/// Whether a pad value is an integer that the dtype represents exactly.
pub(crate) fn is_whole(pad: f64, kind: Kind) -> bool {
    pad.fract() == 0.0 && pad.abs() <= largest_exact_integer(kind) as f64
}

/// 2 to the power of a float dtype's significant bits: integers up to this are exact.
fn largest_exact_integer(kind: Kind) -> u64 {
    match kind {
        Kind::BFloat16 => 1 << 8,
        Kind::Half => 1 << 11,
        Kind::Float => 1 << 24,
        _ => 1 << 53,
    }
}

/// The largest finite value of a float dtype; bfloat16 has f32's exponents and 8 bits of precision.
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
