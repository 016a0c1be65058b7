//! The values of an array, as Arrow's own accessors give them.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::datatypes::*;

/// A value, whatever type holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Number(i128),
    /// Its bits, so that NaN is itself.
    Float(u64),
    Bytes(Vec<u8>),
    List(Vec<Cell>),
    Struct(Vec<Cell>),
}

pub(super) fn cell(array: &dyn Array, row: usize) -> Cell {
    let float = |value: f64| Cell::Float(value.to_bits());
    let list = |values: ArrayRef| Cell::List((0..values.len()).map(|index| cell(&values, index)).collect());
    macro_rules! number {
        ($type:ty) => {
            Cell::Number(i128::from(array.as_primitive::<$type>().value(row)))
        };
    }
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Number(array.as_boolean().value(row).into()),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Date32 => number!(Date32Type),
        DataType::Date64 => number!(Date64Type),
        DataType::Time32(_) => number!(Time32SecondType),
        DataType::Time64(_) => number!(Time64NanosecondType),
        DataType::Duration(_) => number!(DurationMillisecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
        DataType::Timestamp(..) => number!(TimestampMicrosecondType),
        DataType::Decimal32(..) => number!(Decimal32Type),
        DataType::Decimal128(..) => number!(Decimal128Type),
        DataType::Decimal256(..) => {
            Cell::Bytes(array.as_primitive::<Decimal256Type>().value(row).to_le_bytes().into())
        }
        DataType::Float16 => Cell::Float(array.as_primitive::<Float16Type>().value(row).to_bits().into()),
        DataType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).to_bits().into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Bytes(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Cell::Bytes(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Cell::Bytes(array.as_string_view().value(row).into()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).into()),
        DataType::LargeBinary => Cell::Bytes(array.as_binary::<i64>().value(row).into()),
        DataType::BinaryView => Cell::Bytes(array.as_binary_view().value(row).into()),
        DataType::FixedSizeBinary(_) => Cell::Bytes(array.as_fixed_size_binary().value(row).into()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            cell(dictionary.values(), dictionary.normalized_keys()[row])
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row)),
        DataType::Map(..) => list(Arc::new(array.as_map().value(row))),
        DataType::Struct(_) => {
            Cell::Struct(array.as_struct().columns().iter().map(|member| cell(member, row)).collect())
        }
        other => panic!("a column of type {other}"),
    }
}
