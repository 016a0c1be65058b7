//! Random types, and random arrays of them.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::*;
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;

pub(super) fn types() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let dictionary = |keys, values| Dictionary(Box::new(keys), Box::new(values));
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
        BinaryView,
        Date32,
        Date64,
        Time32(TimeUnit::Second),
        Time64(TimeUnit::Nanosecond),
        Duration(TimeUnit::Millisecond),
        Timestamp(TimeUnit::Microsecond, None),
        Timestamp(TimeUnit::Nanosecond, Some("Asia/Kolkata".into())),
        Decimal32(5, 1),
        Decimal128(38, 2),
        Decimal256(70, 3),
        dictionary(Int8, Utf8),
        dictionary(Int8, Int64),
        dictionary(UInt16, UInt16),
        dictionary(Int64, Float32),
        dictionary(Int8, Boolean),
        dictionary(UInt16, Timestamp(TimeUnit::Microsecond, None)),
    ]);
    leaf.prop_recursive(3, 8, 3, |inner| {
        let item = || {
            let named = (inner.clone(), any::<bool>()).prop_map(|(of, is_named)| match is_named {
                true => {
                    Field::new("entry", of, true).with_metadata([("of".to_owned(), "an item".to_owned())])
                }
                false => Field::new_list_field(of, true),
            });
            named.prop_map(|item| Arc::new(item) as FieldRef)
        };
        let members = prop::collection::vec(inner.clone(), 1..3).prop_map(|members| {
            let names = members.into_iter().enumerate();
            names.map(|(index, of)| Field::new(format!("m{index}"), of, true)).collect::<Fields>()
        });
        prop_oneof![
            item().prop_map(List),
            item().prop_map(LargeList),
            item().prop_map(|item| FixedSizeList(item, 2)),
            inner.clone().prop_map(|of| Map(entries(of), false)),
            members.prop_map(Struct),
        ]
    })
}

/// The entries of a map of texts to values.
fn entries(of: DataType) -> FieldRef {
    let fields = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", of, true)];
    Arc::new(Field::new_struct("entries", fields, false))
}

/// Random values of a type; under nulls lies whatever there is.
pub(super) fn random(of: &DataType, rows: usize, nullable: bool, draws: &mut ChaCha8Rng) -> ArrayRef {
    let one_in = |chance: u32, draws: &mut ChaCha8Rng| draws.next_u32().is_multiple_of(chance);
    let valid =
        (nullable && !one_in(4, draws)).then(|| (0..rows).map(|_| !one_in(4, draws)).collect::<NullBuffer>());
    macro_rules! numbers {
        ($type:ty) => {{
            type Native = <$type as ArrowPrimitiveType>::Native;
            numbers!($type, |draws: &mut ChaCha8Rng| draws.next_u64() as Native)
        }};
        ($type:ty, $draw:expr) => {{
            let draw = $draw;
            let values = (0..rows).map(|_| draw(draws));
            let array = PrimitiveArray::<$type>::new(ScalarBuffer::from_iter(values), valid);
            Arc::new(array.with_data_type(of.clone()))
        }};
    }
    macro_rules! dictionary {
        ($type:ty, $values:expr) => {{
            let length = 1 + draws.next_u32() as usize % 5;
            let dictionary = random($values, length, nullable, draws);
            let keys = (0..rows)
                .map(|_| (draws.next_u32() as usize % length) as <$type as ArrowPrimitiveType>::Native);
            let keys = PrimitiveArray::<$type>::new(ScalarBuffer::from_iter(keys), valid);
            Arc::new(DictionaryArray::new(keys, dictionary))
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
        DataType::Date64 => {
            numbers!(Date64Type, |draws: &mut ChaCha8Rng| 86_400_000 * i64::from(draws.next_u32()))
        }
        DataType::Time32(_) => numbers!(Time32SecondType),
        DataType::Time64(_) => numbers!(Time64NanosecondType),
        DataType::Duration(_) => numbers!(DurationMillisecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => numbers!(TimestampNanosecondType),
        DataType::Timestamp(..) => numbers!(TimestampMicrosecondType),
        DataType::Decimal32(..) => {
            numbers!(Decimal32Type, |draws: &mut ChaCha8Rng| draws.next_u32() as i32 % 100_000)
        }
        DataType::Decimal128(..) => {
            numbers!(Decimal128Type, |draws: &mut ChaCha8Rng| i128::from(draws.next_u64() as i64) << 60)
        }
        DataType::Decimal256(..) => {
            numbers!(Decimal256Type, |draws: &mut ChaCha8Rng| i256::from_i128(
                i128::from(draws.next_u64() as i64) << 60
            ))
        }
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
        DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(
            texts(draws).into_iter().map(|text| text.map(String::into_bytes)),
        )),
        DataType::FixedSizeBinary(2) => {
            let bytes = (0..2 * rows).map(|_| draws.next_u32() as u8).collect::<Vec<_>>();
            Arc::new(FixedSizeBinaryArray::new(2, bytes.into(), valid))
        }
        DataType::Dictionary(keys, values) => match **keys {
            DataType::Int8 => dictionary!(Int8Type, values),
            DataType::UInt16 => dictionary!(UInt16Type, values),
            _ => dictionary!(Int64Type, values),
        },
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
        DataType::Map(entries, sorted) => {
            let lengths: Vec<usize> = (0..rows).map(|_| draws.next_u32() as usize % 3).collect();
            let within = random(entries.data_type(), lengths.iter().sum(), false, draws);
            let (within, offsets) = (within.as_struct().clone(), OffsetBuffer::from_lengths(lengths));
            Arc::new(MapArray::new(entries.clone(), offsets, within, valid, *sorted))
        }
        DataType::Struct(members) => {
            let columns =
                members.iter().map(|member| random(member.data_type(), rows, member.is_nullable(), draws));
            Arc::new(StructArray::new(members.clone(), columns.collect(), valid))
        }
        other => panic!("a column of type {other}"),
    }
}
