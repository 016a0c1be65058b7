//! A number goes on meaning the class, the float and the length that it meant, whatever is made of its table.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int8Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray, StructArray, UInt16Array,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use brew_data::{Dataset, Tokenize, Tokenizer, TooLong};
use tempfile::tempdir;

use crate::batches::{Padded, array, epoch, table};
use crate::copied::copies;

/// The description that `datasets` writes of these two classes.
const CLASSES: &str = r#"{"names": ["negative", "positive"], "_type": "ClassLabel"}"#;

/// A table with a description of its columns as Python's `datasets` writes it.
fn described(columns: &[(&str, ArrayRef)], features: &str) -> Dataset {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
    let text = format!(r#"{{"info": {{"features": {features}}}}}"#);
    let metadata = HashMap::from([("huggingface".to_owned(), text)]);
    let schema = Arc::new(Schema::new_with_metadata(batch.schema().fields().clone(), metadata));
    Dataset::from_record_batches("table", vec![batch.with_schema(schema).unwrap()]).unwrap()
}

/// Labels negative, positive; tags [negative], [positive, negative].
fn labelled() -> Dataset {
    let tags = [Some(vec![Some(0)]), Some(vec![Some(1), Some(0)])];
    let columns = [
        ("label", array(Int8Array::from(vec![0, 1]))),
        ("tags", array(ListArray::from_iter_primitive::<Int64Type, _, _>(tags))),
    ];
    described(
        &columns,
        &format!(r#"{{"label": {CLASSES}, "tags": {{"_type": "List", "feature": {CLASSES}}}}}"#),
    )
}

// By hand, from the names: `datasets` 5.2 does the same in `align_labels_with_mapping`.
#[test]
fn numbers_of_named_classes_are_numbered_by_their_names_in_another_order() {
    let folder = tempdir().unwrap();
    for names in [["positive", "negative"], ["Positive", " negative"]] {
        let turned = labelled().column("label").to_classes(names).as_("labels").unwrap();
        for turned in copies(&turned, folder.path()) {
            assert_eq!(turned.integers("labels").unwrap(), [1, 0]);
            assert_eq!(turned.class_names("labels").unwrap().unwrap(), names);
        }
        let lists = labelled().column("tags").to_classes(names).as_("labels").unwrap();
        assert_eq!(lists.integer_lists("labels").unwrap(), [vec![1], vec![0, 1]]);
        let hot = labelled().column("tags").to_multi_hot(names).as_("labels").unwrap();
        assert_eq!(hot.integer_lists("labels").unwrap(), [[0, 1], [1, 1]]);
    }
    let more = labelled().column("label").to_classes(["negative", "neutral", "positive"]).as_("l").unwrap();
    assert_eq!(more.integers("l").unwrap(), [0, 2]);
    let fewer = labelled().column("label").to_classes(["positive"]).as_("l").unwrap_err().to_string();
    assert!(
        fewer.starts_with("table, row 0, column `label`: `negative` is none of the 1 classes"),
        "{fewer}"
    );
    let one = labelled().select(&[1]).unwrap().column("label").to_classes(["positive"]).as_("l").unwrap();
    assert_eq!(one.integers("l").unwrap(), [0]);
    // Other words for the same classes.
    let words = labelled().column("label").to_classes(["bad", "good"]).as_("label").unwrap();
    assert_eq!(words.integers("label").unwrap(), [0, 1]);
    assert_eq!(words.class_names("label").unwrap().unwrap(), ["bad", "good"]);
}

#[test]
fn whole_numbers_that_are_cast_keep_the_names_of_their_classes() {
    for column in ["label", "tags"] {
        let cast = labelled().column(column).to_integers().as_(column).unwrap();
        assert_eq!(cast.class_names(column).unwrap().unwrap(), ["negative", "positive"]);
        let floats = labelled().column(column).to_floats().as_(column).unwrap();
        assert_eq!(floats.class_names(column).unwrap(), None);
    }
    let hot = labelled().column("tags").to_multi_hot(["negative", "positive"]).as_("hot").unwrap();
    let cast = hot.column("hot").to_integers().as_("hot").unwrap();
    assert_eq!(cast.class_names("hot").unwrap().unwrap(), ["negative", "positive"]);
    assert_eq!(cast.integer_lists("hot").unwrap(), [[1, 0], [1, 1]]);
}

/// A member of a struct is a column like any other.
#[test]
fn other_numbers_in_the_place_of_a_member_are_not_of_its_classes() {
    let member: ArrayRef = array(Int64Array::from(vec![0, 1]));
    let outer = StructArray::from(vec![(Arc::new(Field::new("label", DataType::Int64, false)), member)]);
    let features = [
        format!(r#"{{"outer": {{"label": {CLASSES}}}}}"#),
        format!(r#"{{"outer": {{"_type": "Sequence", "feature": {{"label": {CLASSES}}}}}}}"#),
    ];
    for features in features {
        let rows = described(&[("outer", array(outer.clone()))], &features);
        assert_eq!(rows.class_names("outer.label").unwrap().unwrap(), ["negative", "positive"]);
        let replaced = rows.with_integers("outer.label", [1, 0]).unwrap();
        let renamed = rows.column("outer.label").as_("label").unwrap();
        let added = renamed.with_integers("outer.label", [3, 4]).unwrap();
        let folder = tempdir().unwrap();
        for copy in copies(&replaced, folder.path()) {
            assert_eq!(copy.class_names("outer.label").unwrap(), None);
        }
        for copy in copies(&added, folder.path()) {
            assert_eq!(copy.class_names("outer.label").unwrap(), None);
            assert_eq!(copy.class_names("label").unwrap().unwrap(), ["negative", "positive"]);
        }
    }
}

// 16256 is 1.0 in bfloat16 and 1.9375 in float16 (torch 2.11).
#[test]
fn two_byte_floats_of_two_dtypes_are_refused_although_the_first_file_has_none() {
    let folder = tempdir().unwrap();
    let write = |name: &str, field: Field, values: ArrayRef| {
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap();
        let rows = Dataset::from_record_batches("rows", vec![batch]).unwrap();
        rows.write_arrow(folder.path().join(name)).unwrap();
    };
    write("a.arrow", Field::new("scores", DataType::Null, true), array(NullArray::new(1)));
    for (name, dtype) in [("b.arrow", "bfloat16"), ("c.arrow", "float16")] {
        let metadata = HashMap::from([("brew.dtype".to_owned(), dtype.to_owned())]);
        let field = Field::new("scores", DataType::UInt16, true).with_metadata(metadata);
        write(name, field, array(UInt16Array::from(vec![16256])));
    }
    let refused = Dataset::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("the two bytes of column `scores` are float16, those of "), "{refused}");
    assert!(refused.contains("b.arrow are bfloat16"), "{refused}");
}

#[test]
fn a_limit_of_the_length_holds_for_the_tokens_of_the_table() {
    let folder = tempdir().unwrap();
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize/bert");
    let tokenizer = Tokenizer::from_folder(tokenizer).unwrap();
    let rows = table(&[("text", array(StringArray::from(vec!["a b c d e f", "b"])))]);
    // Once made, and once found in the cache.
    for _ in 0..2 {
        let tokens = rows.limited_to(3, TooLong::Cut);
        let tokens = tokens.tokenize(&tokenizer, &Tokenize::text("text", 16), folder.path()).unwrap();
        let ids = epoch(&tokens.batches::<Padded>(2), 0).remove(0).input_ids.unwrap();
        assert_eq!(ids.size(), [2, 3]);
    }
}

#[test]
fn files_of_token_ids_from_two_tokenizers_are_refused_and_one_that_says_nothing_takes_the_others() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenize");
    let cache = tempdir().unwrap();
    let tokens = |of: &str| {
        let rows = table(&[("text", array(StringArray::from(vec!["a good film"])))]);
        let tokenizer = Tokenizer::from_folder(fixtures.join(of)).unwrap();
        rows.tokenize(&tokenizer, &Tokenize::text("text", 9), cache.path()).unwrap()
    };
    let (bert, folder) = (tokens("bert"), tempdir().unwrap());
    let unsaid = bert.with_integer_lists("input_ids", vec![vec![1]]).unwrap();
    assert_eq!(unsaid.vocabulary("input_ids").unwrap(), None);
    unsaid.write_parquet(folder.path().join("a.parquet")).unwrap();
    bert.write_parquet(folder.path().join("b.parquet")).unwrap();
    let both = Dataset::open(folder.path()).unwrap();
    assert_eq!(both.vocabulary("input_ids").unwrap(), bert.vocabulary("input_ids").unwrap());
    assert!(both.vocabulary("input_ids").unwrap().is_some());
    tokens("roberta").write_parquet(folder.path().join("c.parquet")).unwrap();
    let refused = Dataset::open(folder.path()).unwrap_err().to_string();
    assert!(
        refused.contains("c.parquet: the token ids of column `input_ids` are of another vocabulary"),
        "{refused}"
    );
    assert!(refused.contains("b.parquet"), "{refused}");
}
