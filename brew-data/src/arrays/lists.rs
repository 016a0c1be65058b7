//! Lists with offsets of any width: the range of each list's values, and the values of all lists.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

/// The range of a list within the values of all lists.
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

/// The values of all lists.
pub(crate) fn values(lists: &ArrayRef) -> &ArrayRef {
    match lists.data_type() {
        DataType::List(_) => lists.as_list::<i32>().values(),
        DataType::LargeList(_) => lists.as_list::<i64>().values(),
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().values(),
        _ => lists,
    }
}

/// The values of one list; `None` if the array holds no lists.
pub(crate) fn list_at(lists: &ArrayRef, index: usize) -> Option<ArrayRef> {
    let all = values(lists);
    let range = range(lists, index);
    (!Arc::ptr_eq(all, lists)).then(|| all.slice(range.start, range.len()))
}
