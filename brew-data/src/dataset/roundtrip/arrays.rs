//! Random types, and random arrays of them.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

pub(super) fn types() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let dictionary = |values| Dictionary(Box::new(Int8), Box::new(values));
    let leaf = prop::sample::select(vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        FixedSizeBinary(2),
        Date32,
        Timestamp(TimeUnit::Microsecond, None),
        dictionary(Utf8),
        dictionary(Int64),
        dictionary(UInt16),
    ]);
    leaf.prop_recursive(3, 8, 3, |inner| {
        let item = || inner.clone().prop_map(|of| Arc::new(Field::new_list_field(of, true)) as FieldRef);
        let members = prop::collection::vec(inner.clone(), 1..3).prop_map(|members| {
            let names = members.into_iter().enumerate();
            names.map(|(index, of)| Field::new(format!("m{index}"), of, true)).collect::<Fields>()
        });
        prop_oneof![
            item().prop_map(List),
            item().prop_map(LargeList),
            item().prop_map(|item| FixedSizeList(item, 2)),
            members.prop_map(Struct),
        ]
    })
}

/// Random values of a type; under nulls lies whatever there is.
pub(super) fn random(of: &DataType, rows: usize, nullable: bool, draws: &mut ChaCha8Rng) -> ArrayRef {
    let one_in = |chance: u32, draws: &mut ChaCha8Rng| draws.next_u32().is_multiple_of(chance);
    let valid =
        (nullable && !one_in(4, draws)).then(|| (0..rows).map(|_| !one_in(4, draws)).collect::<NullBuffer>());
    macro_rules! numbers {
        ($type:ty) => {{
            type Native = <$type as ArrowPrimitiveType>::Native;
            let values = (0..rows).map(|_| draws.next_u64() as Native);
            Arc::new(PrimitiveArray::<$type>::new(ScalarBuffer::from_iter(values), valid))
        }};
    }
    let is_null = |row: usize| valid.as_ref().is_some_and(|valid| valid.is_null(row));
    let texts = |draws: &mut ChaCha8Rng| -> Vec<Option<String>> {
        let words = ["", "a", "é", "\u{0}", "long enough to be out of line in a view", "日本"];
        let text = |draws: &mut ChaCha8Rng| words[draws.next_u32() as usize % words.len()].to_owned();
        (0..rows).map(|row| (!is_null(row)).then(|| text(draws))).collect()
    };
    match of {
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Boolean => {
            Arc::new(BooleanArray::new(BooleanBuffer::from_iter((0..rows).map(|_| one_in(2, draws))), valid))
        }
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Date32 => numbers!(Date32Type),
        DataType::Timestamp(..) => numbers!(TimestampMicrosecondType),
        DataType::Float16 => {
            type Half = <Float16Type as ArrowPrimitiveType>::Native;
            let values = (0..rows).map(|_| Half::from_bits(draws.next_u32() as u16));
            Arc::new(Float16Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Float32 => {
            let values = (0..rows).map(|_| f32::from_bits(draws.next_u32()));
            Arc::new(Float32Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Float64 => {
            let values = (0..rows).map(|_| f64::from_bits(draws.next_u64()));
            Arc::new(Float64Array::new(ScalarBuffer::from_iter(values), valid))
        }
        DataType::Utf8 => Arc::new(StringArray::from(texts(draws))),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(texts(draws))),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(texts(draws))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::FixedSizeBinary(2) => {
            let bytes = (0..2 * rows).map(|_| draws.next_u32() as u8).collect::<Vec<_>>();
            Arc::new(FixedSizeBinaryArray::new(2, bytes.into(), valid))
        }
        DataType::Dictionary(_, values) => {
            let length = 1 + draws.next_u32() as usize % 5;
            let dictionary = random(values, length, nullable, draws);
            let keys = (0..rows).map(|_| (draws.next_u32() as usize % length) as i8);
            Arc::new(DictionaryArray::new(Int8Array::new(ScalarBuffer::from_iter(keys), valid), dictionary))
        }
        DataType::List(item) | DataType::LargeList(item) => {
            let lengths: Vec<usize> = (0..rows).map(|_| draws.next_u32() as usize % 4).collect();
            let values = random(item.data_type(), lengths.iter().sum(), item.is_nullable(), draws);
            if matches!(of, DataType::List(_)) {
                Arc::new(ListArray::new(item.clone(), OffsetBuffer::from_lengths(lengths), values, valid))
            } else {
                Arc::new(LargeListArray::new(
                    item.clone(),
                    OffsetBuffer::from_lengths(lengths),
                    values,
                    valid,
                ))
            }
        }
        DataType::FixedSizeList(item, length) => {
            let values = random(item.data_type(), rows * *length as usize, item.is_nullable(), draws);
            Arc::new(FixedSizeListArray::new(item.clone(), *length, values, valid))
        }
        DataType::Struct(members) => {
            let columns =
                members.iter().map(|member| random(member.data_type(), rows, member.is_nullable(), draws));
            Arc::new(StructArray::new(members.clone(), columns.collect(), valid))
        }
        other => panic!("a column of type {other}"),
    }
}
