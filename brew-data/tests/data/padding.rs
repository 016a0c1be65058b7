//! What lists are padded with, and how far: by every rank and every path the same.

use arrow::array::builder::{Int64Builder, ListBuilder};
use arrow::array::{ArrayRef, ListArray};
use arrow::datatypes::Int64Type;
use brew_core::tch::{Kind, Tensor};
use brew_data::{Dataset, TooLong};

use crate::batches::{HalfPadded, InfinityPadded, NanPadded, Nested, Padded, Unpadded, array, epoch, table};

fn lists(rows: &[&[i64]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().copied().map(Some)));
    array(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).view(-1)).unwrap()
}

/// By hand: each row, then the pad value up to the batch's longest, or to a multiple of 4.
#[test]
fn integers_in_a_batch_of_floats_are_padded_with_the_declared_fraction() {
    let rows = table(&[("value", lists(&[&[1, 2, 3], &[4], &[]]))]);
    let value = epoch(&rows.batches::<HalfPadded>(3), 0).remove(0).value.unwrap();
    assert_eq!(floats(&value), [1.0, 2.0, 3.0, 4.0, 0.5, 0.5, 0.5, 0.5, 0.5]);
    let value = epoch(&rows.batches::<HalfPadded>(3).padded_to_multiple_of(4), 0).remove(0).value.unwrap();
    assert_eq!(value.size(), [3, 4]);
    assert_eq!(floats(&value), [1.0, 2.0, 3.0, 0.5, 4.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
}

#[test]
fn a_pad_value_that_no_integer_is_stands_beside_integers_as_it_is_declared() {
    let rows = table(&[("value", lists(&[&[1, 2], &[3]]))]);
    let value = epoch(&rows.batches::<InfinityPadded>(2), 0).remove(0).value.unwrap();
    assert_eq!(floats(&value), [1.0, 2.0, 3.0, f64::NEG_INFINITY]);
    let value = epoch(&rows.batches::<NanPadded>(2), 0).remove(0).value.unwrap();
    assert!(floats(&value)[3].is_nan(), "{value:?}");
    assert_eq!(floats(&value)[..3], [1.0, 2.0, 3.0]);
}

fn nested(rows: &[&[&[i64]]]) -> Dataset {
    let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    for row in rows {
        for list in *row {
            lists.values().values().append_slice(list);
            lists.values().append(true);
        }
        lists.append(true);
    }
    table(&[("value", array(lists.finish()))])
}

/// The rows of all ranks, laid one into another again, are the batch that one alone would make.
#[test]
fn every_rank_pads_lists_and_the_lists_in_them_as_the_whole_batch_is_padded() {
    let rows = nested(&[&[&[1, 2, 3], &[]], &[&[4]], &[&[5]], &[&[6], &[7, 8], &[9]], &[&[10]]]);
    for multiple in [1, 4] {
        let loader = || rows.batches::<Nested>(5).padded_to_multiple_of(multiple);
        let whole = epoch(&loader(), 0).remove(0).value.unwrap();
        for ranks in [2, 3, 5] {
            for rank in 0..ranks {
                let share = epoch(&loader().share(rank, ranks), 0).remove(0).value.unwrap();
                let places: Vec<i64> = (rank as i64..5).step_by(ranks).collect();
                assert_eq!(share, whole.index_select(0, &Tensor::from_slice(&places)), "{rank} of {ranks}");
            }
        }
    }
}

/// The last batch has one row: the second rank's share of it is none, of the width of the first's.
#[test]
fn a_share_of_no_rows_has_the_width_of_the_batch() {
    let rows = table(&[("input_ids", lists(&[&[1, 2], &[3, 4], &[5, 6]]))]);
    let last = epoch(&rows.batches::<Unpadded>(2).share(1, 2), 0).remove(1).input_ids.unwrap();
    assert_eq!(last.size(), [0, 2]);
    let last = epoch(&rows.batches::<Padded>(2).share(1, 2), 0).remove(1).input_ids.unwrap();
    assert_eq!(last.size(), [0, 2]);
    let rows = nested(&[&[&[1, 2]], &[&[3]], &[&[4, 5, 6], &[7]]]);
    let last = epoch(&rows.batches::<Nested>(2).share(1, 2), 0).remove(1).value.unwrap();
    assert_eq!(last.size(), [0, 2, 3]);
}

#[test]
fn a_column_added_to_rows_that_are_in_use_twice_keeps_the_limit_of_the_table() {
    let rows = table(&[("input_ids", lists(&[&[1; 8], &[2; 8]]))]);
    let limited = rows.limited_to(3, TooLong::Cut);
    let tables = [
        limited.clone(),
        limited.select(&[1]).unwrap().with_integers("labels", [0]).unwrap(),
        limited.select(&[1, 1]).unwrap().with_integers("labels", [0, 1]).unwrap(),
        limited.select(&[1, 1]).unwrap().with_integer_lists("labels", [vec![0], vec![1]]).unwrap(),
    ];
    for table in tables {
        let ids = epoch(&table.batches::<Padded>(1), 0).remove(0).input_ids.unwrap();
        assert_eq!(ids.size(), [1, 3]);
    }
    let refused = rows.limited_to(3, TooLong::Refuse).select(&[0, 0]).unwrap();
    let refused = refused.with_integers("labels", [0, 1]).unwrap().batches::<Padded>(1).check();
    assert!(refused.unwrap_err().to_string().contains("a list of length 8, but the limit is 3"));
}
