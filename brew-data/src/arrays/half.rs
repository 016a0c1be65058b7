//! Two-byte floats stored as bytes or integers: Arrow has no type for bfloat16.

use std::ops::Range;

use arrow::array::Array;
use arrow::array::cast::AsArray;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float16Type, UInt16Type};
use brew_core::tch::Kind;

use super::numbers::{Numbers, dictionary_values};

/// The metadata key of a field that says what its two bytes mean: `float16` or `bfloat16`.
const DTYPE_KEY: &str = "brew.dtype";

type F16 = <Float16Type as ArrowPrimitiveType>::Native;

/// The dtype of a little-endian two-byte float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Half {
    F16,
    Bf16,
}

impl Half {
    /// The dtype of a column's two-byte values, or of its lists' values: from its metadata or its items'
    /// metadata, otherwise from the dtype that a batch declares. An integer column holds integers unless its
    /// metadata says otherwise.
    ///
    /// # Errors
    /// Metadata with another value.
    pub(crate) fn of(column: &Field, kind: Option<Kind>) -> Result<Option<Half>, String> {
        let (mut field, mut said) = (column, column.metadata().get(DTYPE_KEY));
        while let DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) =
            field.data_type()
        {
            field = item;
            said = field.metadata().get(DTYPE_KEY).or(said);
        }
        let stored = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        match (stored, said.map(String::as_str), kind) {
            (DataType::FixedSizeBinary(2) | DataType::UInt16, Some("float16"), _) => Ok(Some(Half::F16)),
            (DataType::FixedSizeBinary(2) | DataType::UInt16, Some("bfloat16"), _) => Ok(Some(Half::Bf16)),
            (DataType::FixedSizeBinary(2) | DataType::UInt16, Some(other), _) => Err(format!(
                "column `{}`: its metadata `{DTYPE_KEY}` is `{other}`, which is neither `float16` nor `bfloat16`",
                column.name()
            )),
            (DataType::FixedSizeBinary(2), None, Some(Kind::Half)) => Ok(Some(Half::F16)),
            (DataType::FixedSizeBinary(2), None, Some(Kind::BFloat16)) => Ok(Some(Half::Bf16)),
            _ => Ok(None),
        }
    }

    /// Its name in a field's metadata.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Half::F16 => "float16",
            Half::Bf16 => "bfloat16",
        }
    }

    fn value(self, bits: u16) -> f64 {
        match self {
            Half::F16 => F16::from_bits(bits).into(),
            // The upper half of an f32.
            Half::Bf16 => f32::from_bits(u32::from(bits) << 16).into(),
        }
    }
}

/// As [`append`](super::numbers::append), for two-byte floats.
pub(crate) fn append_bits(
    array: &dyn Array,
    range: Range<usize>,
    half: Half,
    into: &mut Numbers,
) -> Result<(), String> {
    match (array.data_type(), into) {
        (DataType::UInt16, Numbers::Floats(into)) => {
            let bits = &array.as_primitive::<UInt16Type>().values()[range];
            into.extend(bits.iter().map(|&bits| half.value(bits)));
            Ok(())
        }
        (DataType::FixedSizeBinary(2), Numbers::Floats(into)) => {
            let values = array.as_fixed_size_binary();
            let bits = range.map(|index| values.value(index));
            into.extend(bits.map(|bytes| half.value(u16::from_le_bytes([bytes[0], bytes[1]]))));
            Ok(())
        }
        (DataType::Dictionary(..), into) => {
            dictionary_values(array, range, |values, range| append_bits(values, range, half, into))
        }
        (other, _) => Err(format!("a value of type {other} is not two bytes of a number")),
    }
}
