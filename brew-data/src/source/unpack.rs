//! Unpacks dictionaries: columns, lists, and structs of dictionaries become columns, lists, and structs of
//! values.
//!
//! A file may replace a dictionary between record batches when it is read, but not when it is written, and
//! each shard has its own.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::wider::wider;

/// The schema with dictionaries replaced by their value types.
pub(crate) fn unpacked_schema(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new_with_metadata(fields(schema.fields()), schema.metadata().clone()))
}

/// The field with dictionaries replaced by their value types, at any depth.
pub(crate) fn unpacked_field(field: &FieldRef) -> FieldRef {
    let found = field.data_type();
    let unpacked = data_type(found);
    if unpacked == *found { field.clone() } else { Arc::new(Field::clone(field).with_data_type(unpacked)) }
}

fn fields(fields: &Fields) -> Fields {
    fields.iter().map(unpacked_field).collect()
}

fn data_type(found: &DataType) -> DataType {
    match found {
        DataType::Dictionary(_, values) => data_type(values),
        DataType::List(item) => DataType::List(unpacked_field(item)),
        DataType::LargeList(item) => DataType::LargeList(unpacked_field(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(unpacked_field(item), *length),
        DataType::Struct(members) => DataType::Struct(fields(members)),
        DataType::Map(entries, sorted) => DataType::Map(unpacked_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The array converted to this type: its own type with dictionaries unpacked, a [wider](wider()) one, or one
/// with other names or metadata inside.
///
/// # Errors
/// Any other type.
pub(crate) fn unpacked(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return unpacked(&take(dictionary.values(), dictionary.keys(), None)?, to);
    }
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(item)) => lists::<i32, i32>(array, item),
        (DataType::List(_), DataType::LargeList(item)) => lists::<i32, i64>(array, item),
        (DataType::LargeList(_), DataType::LargeList(item)) => lists::<i64, i64>(array, item),
        (DataType::FixedSizeList(..), DataType::FixedSizeList(item, length)) => {
            let lists = array.as_fixed_size_list();
            let values = unpacked(lists.values(), item.data_type())?;
            let nulls = lists.nulls().cloned();
            let lists =
                FixedSizeListArray::try_new_with_length(item.clone(), *length, values, nulls, array.len());
            Ok(Arc::new(lists?))
        }
        (DataType::Struct(_), DataType::Struct(members)) => {
            Ok(Arc::new(structs(array.as_struct(), members)?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let DataType::Struct(members) = entries.data_type() else { return Err(refusal(array, to)) };
            let map = array.as_map();
            let within = structs(map.entries(), members)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, within, nulls, *sorted)?))
        }
        (found, _) if wider(found, to).as_ref() == Some(to) => cast(array, to),
        _ => Err(refusal(array, to)),
    }
}

fn refusal(array: &ArrayRef, to: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("a column of type {} is not one of type {to}", array.data_type()))
}

fn lists<O: OffsetSizeTrait + Into<To>, To: OffsetSizeTrait>(
    array: &ArrayRef,
    item: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let lists = array.as_list::<O>();
    let values = unpacked(lists.values(), item.data_type())?;
    let offsets = OffsetBuffer::new(lists.offsets().iter().map(|&offset| offset.into()).collect());
    Ok(Arc::new(GenericListArray::<To>::try_new(item.clone(), offsets, values, lists.nulls().cloned())?))
}

fn structs(array: &StructArray, members: &Fields) -> Result<StructArray, ArrowError> {
    let columns =
        array.columns().iter().zip(members).map(|(column, field)| unpacked(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(members.clone(), columns, array.nulls().cloned(), array.len())
}
