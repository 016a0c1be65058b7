//! Text with offsets of any width, or as the values of a dictionary.

use arrow::array::Array;
use arrow::array::cast::AsArray;
use arrow::datatypes::DataType;

use super::numbers::{Numbers, append};

/// The text of a row; `None` if the array is not text.
pub(crate) fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let mut key = Numbers::Integers(Vec::new());
            append(dictionary.keys(), row..row + 1, &mut key).ok()?;
            match key {
                Numbers::Integers(key) => text_at(dictionary.values(), usize::try_from(*key.first()?).ok()?),
                Numbers::Floats(_) => None,
            }
        }
        _ => None,
    }
}
