//! Lists of every width: where one's values lie, and the values of all.

use std::ops::Range;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

/// Where the values of a list lie in the values of all lists.
pub(crate) fn range(lists: &ArrayRef, index: usize) -> Range<usize> {
    match lists.data_type() {
        DataType::List(_) => {
            let offsets = lists.as_list::<i32>().value_offsets();
            offsets[index] as usize..offsets[index + 1] as usize
        }
        DataType::LargeList(_) => {
            let offsets = lists.as_list::<i64>().value_offsets();
            offsets[index] as usize..offsets[index + 1] as usize
        }
        DataType::FixedSizeList(_, length) => {
            let length = *length as usize;
            index * length..(index + 1) * length
        }
        _ => index..index + 1,
    }
}

/// The values of a chunk's lists.
pub(crate) fn values(lists: &ArrayRef) -> ArrayRef {
    match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().values().clone(),
        DataType::LargeList(_) => lists.as_list::<i64>().values().clone(),
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().values().clone(),
        _ => lists.clone(),
    }
}
