//! Columns to tensors: dtype, shape, padding, and the values themselves.

use arrow::array::builder::{FixedSizeListBuilder, Int64Builder};
use arrow::array::{BooleanArray, Float64Array, Int8Array, Int64Array, LargeListArray, ListArray};
use arrow::datatypes::{Int16Type, Int64Type};
use brew_core::tch::{Kind, Tensor};

use crate::batches::{
    Bytes, Floats, Halves, Numbered, Ragged, Review, Truths, Unpadded, array, epoch, table,
};

fn lists() -> Vec<Option<Vec<Option<i64>>>> {
    [vec![1, 2, 3], vec![], vec![4], vec![5, 6]].map(|list| Some(list.into_iter().map(Some).collect())).into()
}

#[test]
fn lists_are_padded_to_the_longest_of_their_batch() {
    let ids = array(Int64Array::from(vec![10, 11, 12, 13]));
    let small = lists()
        .into_iter()
        .map(|list| list.map(|list| list.into_iter().map(|id| id.map(|id| id as i16)).collect::<Vec<_>>()));
    let columns = [
        array(ListArray::from_iter_primitive::<Int64Type, _, _>(lists())),
        array(LargeListArray::from_iter_primitive::<Int64Type, _, _>(lists())),
        array(ListArray::from_iter_primitive::<Int16Type, _, _>(small)),
    ];
    for column in columns {
        let rows = table(&[("id", ids.clone()), ("input_ids", column)]);
        let batches = epoch(&rows.batches::<Ragged>(3), 0);
        let first = batches[0].input_ids.as_ref().unwrap();
        assert_eq!(first, &Tensor::from_slice2(&[[1_i64, 2, 3], [-1, -1, -1], [4, -1, -1]]));
        assert_eq!(first.kind(), Kind::Int64);
        assert_eq!(batches[1].input_ids.as_ref().unwrap(), &Tensor::from_slice2(&[[5_i64, 6]]));
        assert_eq!(batches[1].id.as_ref().unwrap(), &Tensor::from_slice(&[13_i64]));
    }
}

#[test]
fn lists_of_one_length_need_no_pad_value() {
    let mut lists = FixedSizeListBuilder::new(Int64Builder::new(), 2);
    for id in 0..3 {
        lists.values().append_slice(&[id, id * id]);
        lists.append(true);
    }
    let rows = table(&[("input_ids", array(lists.finish()))]).select(&[2, 1]).unwrap();
    let batches = epoch(&rows.batches::<Unpadded>(8), 0);
    assert_eq!(batches[0].input_ids.as_ref().unwrap(), &Tensor::from_slice2(&[[2_i64, 4], [1, 1]]));
}

#[test]
fn an_optional_column_may_be_absent() {
    let list = || array(ListArray::from_iter_primitive::<Int64Type, _, _>(lists()));
    let rows = table(&[("input_ids", list()), ("attention_mask", list())]);
    assert!(epoch(&rows.batches::<Review>(4), 0)[0].labels.is_none());
    let labelled = rows.with_integers("labels", [0, 1, 0, 1]).unwrap();
    let labels = epoch(&labelled.batches::<Review>(4), 0)[0].labels.as_ref().map(Tensor::shallow_clone);
    assert_eq!(labels.unwrap(), Tensor::from_slice(&[0_i64, 1, 0, 1]));
}

#[test]
fn numbers_become_the_declared_dtype() {
    let integers = table(&[("value", array(Int8Array::from(vec![0, 1, 100])))]);
    let bytes = epoch(&integers.batches::<Bytes>(3), 0).remove(0).value.unwrap();
    assert_eq!(bytes, Tensor::from_slice(&[0_u8, 1, 100]));
    let floats = epoch(&integers.batches::<Floats>(3), 0).remove(0).value.unwrap();
    assert_eq!(floats, Tensor::from_slice(&[0_f32, 1.0, 100.0]));

    let values = table(&[("value", array(Float64Array::from(vec![1.5, -3.0, 0.1, f64::INFINITY])))]);
    let floats = epoch(&values.batches::<Floats>(4), 0).remove(0).value.unwrap();
    assert_eq!(floats, Tensor::from_slice(&[1.5_f32, -3.0, 0.1, f32::INFINITY]));
    // torch.tensor([1.5, -3.0, 0.1]).bfloat16().double() -> [1.5, -3.0, 0.10009765625]
    let halves = epoch(&values.select(&[0, 1, 2]).unwrap().batches::<Halves>(3), 0).remove(0).value.unwrap();
    assert_eq!(halves.kind(), Kind::BFloat16);
    assert_eq!(halves.to_kind(Kind::Double), Tensor::from_slice(&[1.5_f64, -3.0, 0.100_097_656_25]));

    let truths = table(&[
        ("value", array(BooleanArray::from(vec![true, false]))),
        ("id", array(BooleanArray::from(vec![false, true]))),
    ]);
    let value = epoch(&truths.batches::<Truths>(2), 0).remove(0).value.unwrap();
    assert_eq!(value, Tensor::from_slice(&[true, false]));
    assert_eq!(
        epoch(&truths.batches::<Numbered>(2), 0).remove(0).id.unwrap(),
        Tensor::from_slice(&[0_i64, 1])
    );
}
