//! Shards of which some are narrower: read as the wider type, and refused where none holds both.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeListArray, LargeStringArray, ListArray, StringArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Float32Type, Int8Type, Int32Type, Int64Type, UInt16Type};
use brew_data::Dataset;
use tempfile::tempdir;

use crate::batches::{Padded, array, table};
use crate::formats::message;

/// Two files of one column, opened as one table, both ways round.
fn shards(one: &ArrayRef, other: &ArrayRef, extension: &str) -> Vec<(tempfile::TempDir, Dataset)> {
    let ordered = [[one, other], [other, one]];
    let opened = ordered.into_iter().map(|columns| {
        let folder = tempdir().unwrap();
        for (number, column) in columns.into_iter().enumerate() {
            let path = folder.path().join(format!("{number}.{extension}"));
            let rows = table(&[("value", column.clone())]);
            if extension == "arrow" { rows.write_arrow(path) } else { rows.write_parquet(path) }.unwrap();
        }
        let rows = Dataset::open(folder.path()).unwrap();
        (folder, rows)
    });
    opened.collect()
}

#[test]
fn a_column_that_is_narrower_in_some_files_is_read_as_the_wider_type() {
    let lists =
        |values: [Option<Vec<Option<i32>>>; 2]| ListArray::from_iter_primitive::<Int32Type, _, _>(values);
    let cases: [(ArrayRef, ArrayRef, DataType); 7] = [
        (array(Int32Array::from(vec![1, 2])), array(Int64Array::from(vec![1 << 40, -4])), DataType::Int64),
        (array(Int8Array::from(vec![-1, 2])), array(UInt32Array::from(vec![u32::MAX, 3])), DataType::Int64),
        (
            array(Float32Array::from(vec![0.5, 2.0])),
            array(Float64Array::from(vec![0.1, 4.0])),
            DataType::Float64,
        ),
        (
            array(StringArray::from(vec!["a", "b"])),
            array(LargeStringArray::from(vec!["c", "d"])),
            DataType::LargeUtf8,
        ),
        (
            array(lists([Some(vec![Some(1)]), Some(vec![Some(2), Some(3)])])),
            array(LargeListArray::from_iter_primitive::<Int64Type, _, _>([
                Some(vec![Some(1 << 40)]),
                Some(vec![]),
            ])),
            DataType::new_large_list(DataType::Int64, true),
        ),
        (
            array(FixedSizeListArray::from_iter_primitive::<Int8Type, _, _>(
                [Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])],
                2,
            )),
            array(FixedSizeListArray::from_iter_primitive::<UInt16Type, _, _>(
                [Some(vec![Some(5), Some(6)]), Some(vec![Some(7), Some(8)])],
                2,
            )),
            DataType::new_fixed_size_list(DataType::Int32, 2, true),
        ),
        (
            array(vec!["a", "b"].into_iter().collect::<DictionaryArray<Int8Type>>()),
            array(vec!["c", "a"].into_iter().collect::<DictionaryArray<Int32Type>>()),
            DataType::Utf8,
        ),
    ];
    for (one, other, expected) in cases {
        for extension in ["arrow", "parquet"] {
            for (folder, rows) in shards(&one, &other, extension) {
                let found = rows.schema().field(0).data_type();
                assert!(found.equals_datatype(&expected), "{extension}: {found} is not {expected}");
                // A copy is of one type; pyarrow.concat_tables(promote_options="permissive") gives the same values.
                let copy = folder.path().join("copy.arrow");
                rows.write_arrow(&copy).unwrap();
                let copy = Dataset::open(&copy).unwrap();
                let shown = |rows: &Dataset| match &expected {
                    DataType::Float64 => format!("{:?}", rows.floats("value").unwrap()),
                    DataType::Utf8 | DataType::LargeUtf8 => format!("{:?}", rows.texts("value").unwrap()),
                    DataType::Int64 => format!("{:?}", rows.integers("value").unwrap()),
                    _ => format!("{:?}", rows.integer_lists("value").unwrap()),
                };
                assert_eq!((shown(&copy), copy.rows()), (shown(&rows), 4), "{extension}");
            }
        }
    }
}

#[test]
fn batches_of_widened_lists_hold_every_value() {
    let one: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let other: ArrayRef = Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![
        Some(1 << 40),
        Some(3),
    ])]));
    let (_folder, rows) = shards(&one, &other, "arrow").swap_remove(0);
    let rows = rows.column("value").as_("input_ids").unwrap();
    let batch = crate::batches::epoch(&rows.batches::<Padded>(2), 0).swap_remove(0);
    let ids = batch.input_ids.unwrap();
    assert_eq!(Vec::<i64>::try_from(ids.reshape([-1])).unwrap(), [1, 0, 1 << 40, 3]);
}

#[test]
fn types_of_which_none_holds_both_are_refused_as_before() {
    let int64: ArrayRef = array(Int64Array::from(vec![1, 2]));
    let cases: [(ArrayRef, ArrayRef); 4] = [
        (int64.clone(), array(Float64Array::from(vec![0.5, 2.0]))),
        (int64.clone(), array(UInt64Array::from(vec![1, 2]))),
        (int64, array(StringArray::from(vec!["a", "b"]))),
        (
            array(ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0)]), None])),
            array(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None])),
        ),
    ];
    for (one, other) in cases {
        for (folder, rows) in shards(&one, &other, "arrow") {
            let used = message(&folder, rows.integers("value").map(|_| rows.clone()));
            assert!(used.ends_with(" in 0.arrow: write all files with one type"), "{used}");
        }
    }
}
