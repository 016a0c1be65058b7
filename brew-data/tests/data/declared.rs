//! What metadata declares of a column: what its two bytes are, and what its classes are called.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, UInt16Array};
use arrow::datatypes::{DataType, Field, Int8Type, Schema};
use brew_data::{Dataset, Result};
use tempfile::tempdir;

use crate::batches::{Scores, array, epoch, table};
use crate::copied::copies;

/// A table of one column whose metadata says what its two bytes are.
fn declared(column: ArrayRef, dtype: &str) -> Result<Dataset> {
    let metadata = HashMap::from([("brew.dtype".to_owned(), dtype.to_owned())]);
    let field = Field::new("scores", column.data_type().clone(), false).with_metadata(metadata);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap();
    Dataset::from_record_batches("table", vec![batch])
}

/// numpy: `numpy.array([15872, 49664], "uint16").view("float16")` is 1.5, -3; the upper halves of float32
/// 1.5, -3 are 16320, 49216.
#[test]
fn what_a_column_declares_reaches_lists_dictionaries_and_plain_values() {
    let f16 = declared(array(UInt16Array::from(vec![15872, 49664])), "float16").unwrap();
    assert_eq!(f16.floats("scores").unwrap(), [1.5, -3.0]);
    let mut bytes = arrow::array::builder::FixedSizeBinaryBuilder::new(2);
    [16320_u16, 49216].iter().for_each(|bits| bytes.append_value(bits.to_le_bytes()).unwrap());
    let bytes = bytes.finish();
    assert_eq!(declared(array(bytes.clone()), "bfloat16").unwrap().floats("scores").unwrap(), [1.5, -3.0]);
    let plain = table(&[("scores", array(bytes))]).floats("scores").unwrap_err().to_string();
    assert!(
        plain.ends_with(
            "cannot be read as numbers; two-byte values are numbers if the column's metadata `brew.dtype` is \
             `float16` or `bfloat16`"
        ),
        "{plain}"
    );

    let keys = arrow::array::Int8Array::from(vec![1, 0, 1]);
    let values = Arc::new(UInt16Array::from(vec![16320, 49216]));
    let dictionary = DictionaryArray::<Int8Type>::new(keys, values);
    let dictionary = declared(array(dictionary), "bfloat16").unwrap();
    let folder = tempdir().unwrap();
    for copy in copies(&dictionary, folder.path()) {
        assert_eq!(copy.floats("scores").unwrap(), [-3.0, 1.5, -3.0]);
        let batch = epoch(&copy.batches::<Scores>(3), 0).remove(0).scores.unwrap();
        assert_eq!(Vec::<f64>::try_from(batch).unwrap(), [-3.0, 1.5, -3.0]);
    }

    let lists = ListArray::from_iter_primitive::<arrow::datatypes::UInt16Type, _, _>([
        Some([Some(16320), Some(49216)]),
        Some([Some(49216), Some(16320)]),
    ]);
    let lists = declared(array(lists), "bfloat16").unwrap();
    for copy in copies(&lists, folder.path()) {
        let batch = epoch(&copy.batches::<Scores>(2), 0).remove(0).scores.unwrap();
        assert_eq!(Vec::<f64>::try_from(batch.view(-1)).unwrap(), [1.5, -3.0, -3.0, 1.5]);
        assert!(copy.integer_lists("scores").unwrap_err().to_string().ends_with("says `bfloat16`"));
    }
}

#[test]
fn a_dtype_that_nobody_knows_is_not_passed_over() {
    let folder = tempdir().unwrap();
    let unknown = declared(array(UInt16Array::from(vec![16320])), "bf16").unwrap();
    let message =
        "column `scores`: its metadata `brew.dtype` is `bf16`, which is neither `float16` nor `bfloat16`";
    for copy in copies(&unknown, folder.path()) {
        assert!(copy.floats("scores").unwrap_err().to_string().ends_with(message));
        assert!(copy.batches::<Scores>(1).check().unwrap_err().to_string().ends_with(message));
    }
}

/// float64 holds whole numbers up to 2 to the 53rd: Python's float(2**53 + 1) is 2**53.
#[test]
fn floats_refuse_a_whole_number_that_they_would_round() {
    let exact = 1_i64 << 53;
    let rows = table(&[("value", array(Int64Array::from(vec![exact, -exact])))]);
    assert_eq!(rows.floats("value").unwrap(), [9_007_199_254_740_992.0, -9_007_199_254_740_992.0]);
    let rows = table(&[("value", array(Int64Array::from(vec![0, exact + 1])))]);
    assert_eq!(
        rows.floats("value").unwrap_err().to_string(),
        "table, row 1, column `value`: 9007199254740993 does not fit float64 exactly"
    );
}

/// Shards that would say two things under one name are not one table.
#[test]
fn shards_whose_bytes_or_classes_mean_other_things_are_refused() {
    let folder = tempdir().unwrap();
    let (a, b) = (folder.path().join("a.arrow"), folder.path().join("b.arrow"));
    let bits = || array(UInt16Array::from(vec![16320]));
    declared(bits(), "bfloat16").unwrap().write_arrow(&a).unwrap();
    declared(bits(), "float16").unwrap().write_arrow(&b).unwrap();
    let other = Dataset::open(folder.path()).unwrap_err().to_string();
    assert!(other.contains("b.arrow: the two bytes of column `scores` are float16, those of "), "{other}");
    table(&[("scores", bits())]).write_arrow(&b).unwrap();
    assert!(Dataset::open(folder.path()).unwrap_err().to_string().contains("are UInt16 values, those of "));
    declared(bits(), "bfloat16").unwrap().write_arrow(&b).unwrap();
    assert_eq!(Dataset::open(folder.path()).unwrap().floats("scores").unwrap(), [1.5, 1.5]);

    let classes = |names: &str| {
        let text = format!(
            r#"{{"info": {{"features": {{"label": {{"names": {names}, "_type": "ClassLabel"}}}}}}}}"#
        );
        let metadata = HashMap::from([("huggingface".to_owned(), text)]);
        let label: ArrayRef = array(Int64Array::from(vec![1]));
        let field = Field::new("label", DataType::Int64, false);
        let schema = Arc::new(Schema::new_with_metadata(vec![field], metadata));
        Dataset::from_record_batches("label", vec![RecordBatch::try_new(schema, vec![label]).unwrap()])
            .unwrap()
    };
    classes(r#"["no", "yes"]"#).write_arrow(&a).unwrap();
    classes(r#"["yes", "no"]"#).write_arrow(&b).unwrap();
    let other = Dataset::open(folder.path()).unwrap_err().to_string();
    assert!(other.contains("b.arrow: the classes of column `label` are yes, no, but no, yes in "), "{other}");
    // One that names none is as the others; whichever comes first.
    table(&[("label", array(Int64Array::from(vec![1])))]).write_arrow(&a).unwrap();
    let open = Dataset::open(folder.path()).unwrap();
    assert_eq!(open.class_names("label").unwrap().unwrap(), ["yes", "no"]);
}
