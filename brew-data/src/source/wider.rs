//! Finds the type that holds the values of two others without loss, for columns that are narrower in some
//! files.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};

/// Signed integers by their number of bits.
const SIGNED: [(u32, DataType); 4] =
    [(8, DataType::Int8), (16, DataType::Int16), (32, DataType::Int32), (64, DataType::Int64)];

/// Unsigned integers by their number of bits.
const UNSIGNED: [(u32, DataType); 4] =
    [(8, DataType::UInt8), (16, DataType::UInt16), (32, DataType::UInt32), (64, DataType::UInt64)];

/// Floats by their number of bits.
const FLOATS: [(u32, DataType); 3] =
    [(16, DataType::Float16), (32, DataType::Float32), (64, DataType::Float64)];

/// The narrowest type that holds every value of both, for two integer types, two float types, text,
/// dictionaries, and lists of these. There is none for an integer and a float, since a float rounds.
pub(super) fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    if one.equals_datatype(other) {
        return Some(one.clone());
    }
    let is_text =
        |found: &DataType| matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (one, other) {
        (DataType::Dictionary(_, values), other) | (other, DataType::Dictionary(_, values)) => {
            wider(values, other)
        }
        (DataType::List(one), DataType::List(other)) => Some(DataType::List(wider_item(one, other)?)),
        (
            DataType::List(one) | DataType::LargeList(one),
            DataType::List(other) | DataType::LargeList(other),
        ) => Some(DataType::LargeList(wider_item(one, other)?)),
        (DataType::FixedSizeList(one, length), DataType::FixedSizeList(other, same)) if length == same => {
            Some(DataType::FixedSizeList(wider_item(one, other)?, *length))
        }
        (one, other) if is_text(one) && is_text(other) => Some(DataType::LargeUtf8),
        (one, other) => wider_number(one, other),
    }
}

fn wider_item(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let item = one.as_ref().clone().with_data_type(wider(one.data_type(), other.data_type())?);
    Some(Arc::new(item.with_nullable(one.is_nullable() || other.is_nullable())))
}

fn wider_number(one: &DataType, other: &DataType) -> Option<DataType> {
    let bits = |types: &[(u32, DataType)], found: &DataType| {
        types.iter().find(|(_, known)| known == found).map(|(bits, _)| *bits)
    };
    let both = |types: &[(u32, DataType)]| Some(bits(types, one)?.max(bits(types, other)?));
    let of = |types: &[(u32, DataType)], needed: u32| {
        types.iter().find(|(bits, _)| *bits >= needed).map(|(_, found)| found.clone())
    };
    for types in [&SIGNED[..], &UNSIGNED, &FLOATS] {
        if let Some(needed) = both(types) {
            return of(types, needed);
        }
    }
    // A sign takes a bit.
    let mixed = |signed: &DataType, unsigned: &DataType| {
        of(&SIGNED, bits(&SIGNED, signed)?.max(bits(&UNSIGNED, unsigned)? + 1))
    };
    mixed(one, other).or_else(|| mixed(other, one))
}
