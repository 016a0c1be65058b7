//! Every type of column into every dtype: the right values, or an error that names the column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::builder::{FixedSizeBinaryBuilder, Int64Builder, LargeListBuilder, ListBuilder};
use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float16Array, Float32Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListArray, NullArray, PrimitiveArray, RecordBatch, StringArray, UInt8Array, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float16Type, Int8Type, Int64Type, Schema};
use brew_core::tch::{Kind, Tensor};
use brew_data::{Dataset, TooLong};

use crate::batches::{
    Floats, Halves, Halves16Value, Nested, NestedUnpadded, Padded, Values, array, epoch, failure, table,
};

fn one(column: ArrayRef) -> Dataset {
    table(&[("value", column)])
}

#[test]
fn every_integer_type_keeps_its_least_and_greatest_value() {
    let columns: [(ArrayRef, [i64; 2]); 7] = [
        (array(Int8Array::from(vec![i8::MIN, i8::MAX])), [i64::from(i8::MIN), i64::from(i8::MAX)]),
        (array(Int16Array::from(vec![i16::MIN, i16::MAX])), [i64::from(i16::MIN), i64::from(i16::MAX)]),
        (array(Int32Array::from(vec![i32::MIN, i32::MAX])), [i64::from(i32::MIN), i64::from(i32::MAX)]),
        (array(Int64Array::from(vec![i64::MIN, i64::MAX])), [i64::MIN, i64::MAX]),
        (array(UInt8Array::from(vec![0, u8::MAX])), [0, i64::from(u8::MAX)]),
        (array(UInt16Array::from(vec![0, u16::MAX])), [0, i64::from(u16::MAX)]),
        (array(UInt32Array::from(vec![0, u32::MAX])), [0, i64::from(u32::MAX)]),
    ];
    for (column, expected) in columns {
        let value = epoch(&one(column).batches::<Values>(2), 0).remove(0).value.unwrap();
        assert_eq!(value, Tensor::from_slice(&expected));
    }
    let huge = one(array(UInt64Array::from(vec![7, u64::MAX])));
    assert_eq!(
        failure(&huge.batches::<Values>(2)),
        "table, row 1, column `value`: 18446744073709551615 does not fit a signed number of 64 bits"
    );
}

#[test]
fn a_dictionary_of_numbers_is_its_values_and_one_of_text_is_refused() {
    let keys = Int8Array::from(vec![2, 0, 0, 1]);
    let numbers =
        DictionaryArray::<Int8Type>::new(keys.clone(), Arc::new(Int64Array::from(vec![30, 40, 50])));
    let value = epoch(&one(array(numbers)).batches::<Values>(4), 0).remove(0).value.unwrap();
    assert_eq!(value, Tensor::from_slice(&[50_i64, 30, 30, 40]));
    let words = DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from(vec!["a", "b", "c"])));
    let words = one(array(words));
    assert_eq!(words.texts("value").unwrap(), ["c", "a", "a", "b"]);
    assert_eq!(
        failure(&words.batches::<Values>(4)),
        "table, column `value`: its type is Dictionary(Int8, Utf8), which cannot be read as a tensor of \
         dtype Int64"
    );
    // A null can stand in the keys or among the values.
    let keys = Int8Array::from(vec![Some(0), None]);
    let missing = DictionaryArray::<Int8Type>::new(keys, Arc::new(Int64Array::from(vec![1])));
    let null = "table, row 1, column `value`: the value is missing (null): fill it or drop the row";
    assert_eq!(failure(&one(array(missing)).batches::<Values>(2)), null);
    let values = Int64Array::from(vec![Some(1), None]);
    let missing = DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0, 1]), Arc::new(values));
    let batch = RecordBatch::try_from_iter_with_nullable([("value", array(missing), true)]).unwrap();
    let missing = Dataset::from_record_batches("table", vec![batch]).unwrap();
    assert_eq!(failure(&missing.batches::<Values>(2)), null);
}

/// A field whose metadata says what its two bytes are.
fn declared(column: ArrayRef, dtype: &str) -> Dataset {
    let metadata = HashMap::from([("brew.dtype".to_owned(), dtype.to_owned())]);
    let field = Field::new("value", column.data_type().clone(), false).with_metadata(metadata);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap();
    Dataset::from_record_batches("table", vec![batch]).unwrap()
}

// torch.tensor([1.5, -3.0, 0.1, float("inf")]).bfloat16().view(torch.int16) -> 16320, -16320, 15821, 32640
// and .half().view(torch.int16) -> 15872, -15872, 11878, 31744 (torch 2.11)
const BF16: [u16; 4] = [16320, 49216, 15821, 32640];
const F16: [u16; 4] = [15872, 49664, 11878, 31744];

#[test]
fn two_bytes_are_the_number_that_the_batch_or_the_metadata_says() {
    let binary = |bits: [u16; 4]| {
        let mut values = FixedSizeBinaryBuilder::new(2);
        bits.iter().for_each(|bits| values.append_value(bits.to_le_bytes()).unwrap());
        array(values.finish())
    };
    let integers = |bits: [u16; 4]| array(UInt16Array::from(bits.to_vec()));
    let bf16 = Tensor::from_slice(&[1.5_f64, -3.0, 0.100_097_656_25, f64::INFINITY]);
    let f16 = Tensor::from_slice(&[1.5_f64, -3.0, 0.099_975_585_937_5, f64::INFINITY]);
    for table in [one(binary(BF16)), declared(binary(BF16), "bfloat16"), declared(integers(BF16), "bfloat16")]
    {
        let value = epoch(&table.batches::<Halves>(4), 0).remove(0).value.unwrap();
        assert_eq!((value.kind(), value.to_kind(Kind::Double)), (Kind::BFloat16, bf16.shallow_clone()));
    }
    for table in [one(binary(F16)), declared(integers(F16), "float16")] {
        let value = epoch(&table.batches::<Halves16Value>(4), 0).remove(0).value.unwrap();
        assert_eq!((value.kind(), value.to_kind(Kind::Double)), (Kind::Half, f16.shallow_clone()));
    }
    let wide = epoch(&declared(binary(BF16), "bfloat16").batches::<Floats>(4), 0).remove(0).value.unwrap();
    assert_eq!(wide.to_kind(Kind::Double), bf16);
    // Without metadata, an integer is an integer, and two bytes are nothing that a float32 could be made of.
    let value =
        epoch(&one(array(UInt16Array::from(vec![3]))).batches::<Halves>(1), 0).remove(0).value.unwrap();
    assert_eq!(value.double_value(&[0]), 3.0);
    assert_eq!(
        failure(&one(binary(F16)).batches::<Floats>(4)),
        "table, column `value`: its type is FixedSizeBinary(2), which cannot be read as a tensor of dtype \
         Float; two-byte values are numbers if the batch declares `f16` or `bf16`, or the column's metadata \
         `brew.dtype` does"
    );
}

#[test]
fn float16_columns_become_any_float_and_the_largest_bfloat16_is_not_infinity() {
    let half = |value: f32| <Float16Type as arrow::datatypes::ArrowPrimitiveType>::Native::from_f32(value);
    let values: PrimitiveArray<Float16Type> = Float16Array::from(vec![half(0.1), half(-65504.0)]);
    let value = epoch(&one(array(values)).batches::<Floats>(2), 0).remove(0).value.unwrap();
    assert_eq!(value, Tensor::from_slice(&[0.099_975_586_f32, -65504.0]));
    let greatest = f32::from_bits(0x7f7f_0000);
    let value = epoch(&one(array(Float32Array::from(vec![greatest]))).batches::<Halves>(1), 0)
        .remove(0)
        .value
        .unwrap();
    assert_eq!(value.double_value(&[0]), f64::from(greatest));
    let message = failure(&one(array(Float32Array::from(vec![0.0, f32::MAX]))).batches::<Halves>(2));
    assert_eq!(
        message,
        format!(
            "table, row 1, column `value`: {} does not fit the batch's dtype BFloat16",
            f64::from(f32::MAX)
        )
    );
}

/// A list of numbers that may be missing, as each of them may.
type Numbers = Option<Vec<Option<i64>>>;

/// Rows of lists of numbers.
fn nested(rows: &[Option<Vec<Numbers>>]) -> ArrayRef {
    let mut lists = LargeListBuilder::new(ListBuilder::new(Int64Builder::new()));
    for row in rows {
        for list in row.iter().flatten() {
            list.iter().flatten().for_each(|value| lists.values().values().append_option(*value));
            lists.values().append(list.is_some());
        }
        lists.append(row.is_some());
    }
    array(lists.finish())
}

fn list(values: &[i64]) -> Numbers {
    Some(values.iter().copied().map(Some).collect())
}

#[test]
fn lists_of_lists_are_padded_in_both_directions_where_the_batch_declares_them() {
    let rows = [Some(vec![list(&[1, 2, 3]), list(&[])]), Some(vec![]), Some(vec![list(&[4])])];
    let table = one(nested(&rows));
    let value = epoch(&table.batches::<Nested>(3), 0).remove(0).value.unwrap();
    assert_eq!(value.size(), [3, 2, 3]);
    let expected = [1_i64, 2, 3, -1, -1, -1, -1, -1, -1, -1, -1, -1, 4, -1, -1, -1, -1, -1];
    assert_eq!(value, Tensor::from_slice(&expected).view([3, 2, 3]));
    assert_eq!(
        failure(&table.batches::<Values>(3)),
        "table, column `value`: its type is LargeList(List(Int64)), which cannot be read as a tensor of dtype Int64; \
         declare lists of lists as such: `#[column(i64, pad = 0, nested)]`"
    );
    let flat = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)])]);
    assert_eq!(
        failure(&one(array(flat)).batches::<Nested>(1)),
        "table, column `value`: its type is List(Int64), which cannot be read as a tensor (rows, lists, values) of \
         dtype Int64"
    );
}

#[test]
fn lists_of_lists_without_a_pad_value_need_one_length_and_no_null() {
    let even =
        one(nested(&[Some(vec![list(&[1, 2]), list(&[3, 4])]), Some(vec![list(&[5, 6]), list(&[7, 8])])]));
    let value = epoch(&even.batches::<NestedUnpadded>(2), 0).remove(0).value.unwrap();
    assert_eq!(value, Tensor::from_slice(&[1_i64, 2, 3, 4, 5, 6, 7, 8]).view([2, 2, 2]));
    let pad = "give the column of the batch a pad value, as in `#[column(i64, pad = 0)]`";
    let uneven = one(nested(&[Some(vec![list(&[1, 2])]), Some(vec![list(&[3])])]));
    assert_eq!(
        failure(&uneven.batches::<NestedUnpadded>(2)),
        format!("table, row 1, column `value`: a list of length 1, but the first row's has length 2: {pad}")
    );
    let missing =
        "table, row 1, column `value`: a value of the list is missing (null): fill it or drop the row";
    for row in [vec![list(&[1]), None], vec![Some(vec![Some(1), None])]] {
        let nulls = one(nested(&[Some(vec![list(&[1])]), Some(row)]));
        assert_eq!(failure(&nulls.batches::<Nested>(2)), missing);
    }
}

#[test]
fn a_column_of_nulls_alone_is_refused_by_its_type() {
    let batch =
        RecordBatch::try_from_iter_with_nullable([("value", array(NullArray::new(2)), true)]).unwrap();
    let nothing = Dataset::from_record_batches("table", vec![batch]).unwrap();
    assert_eq!(nothing.schema().field(0).data_type(), &DataType::Null);
    assert_eq!(
        failure(&nothing.batches::<Values>(2)),
        "table, column `value`: its type is Null, which cannot be read as a tensor of dtype Int64"
    );
}

#[test]
fn lists_longer_than_the_limit_are_cut_or_refused_as_declared() {
    let lists = [vec![1, 2], vec![3, 4, 5, 6], vec![7]].map(|list| Some(list.into_iter().map(Some)));
    let rows = table(&[("input_ids", array(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)))]);
    let cut = epoch(&rows.limited_to(3, TooLong::Cut).batches::<Padded>(3), 0).remove(0).input_ids.unwrap();
    assert_eq!(cut, Tensor::from_slice2(&[[1_i64, 2, 0], [3, 4, 5], [7, 0, 0]]));
    let refused = rows.limited_to(3, TooLong::Refuse);
    assert_eq!(
        failure(&refused.batches::<Padded>(3)),
        "table, row 1, column `input_ids`: a list of length 4, but the limit is 3: cut longer ones with \
         `TooLong::Cut`, or drop the row"
    );
    refused.select(&[0, 2]).unwrap().batches::<Padded>(3).check().unwrap();
    rows.limited_to(4, TooLong::Refuse).batches::<Padded>(3).check().unwrap();
}
