//! Columns renamed, cast, and made numbers of classes, with the names kept.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use brew_core::tch::{Kind, Tensor};
use brew_data::{Classes, Dataset, Error};
use tempfile::tempdir;

use crate::batches::{array, epoch, table};
use crate::formats::files;

fn films() -> Dataset {
    table(&[
        ("text", array(StringArray::from(vec!["a", "b", "c", "d"]))),
        ("sentiment", array(StringArray::from(vec!["positive", "negative", "neutral", "positive"]))),
        ("stars", array(Float64Array::from(vec![4.0, 1.0, 2.5, 5.0]))),
    ])
}

fn tags() -> Dataset {
    let folder = files(&[(
        "a.jsonl",
        b"{\"tags\": [\"b\", \"a\", \"b\"], \"ids\": [2, 0]}\n{\"tags\": [], \"ids\": []}\n{\"tags\": [\"c\"], \"ids\": [1, 1]}\n",
    )]);
    Dataset::open(folder.path().join("a.jsonl")).unwrap()
}

fn told<T>(outcome: Result<T, Error>) -> String {
    outcome.err().expect("this is refused").to_string()
}

#[test]
fn a_column_is_renamed_in_its_place_and_nothing_else_changes() {
    let renamed = films().column("sentiment").as_("label").unwrap();
    assert_eq!(renamed.columns(), ["text", "label", "stars"]);
    assert_eq!(renamed.texts("label").unwrap(), films().texts("sentiment").unwrap());
    assert_eq!(renamed.floats("stars").unwrap(), [4.0, 1.0, 2.5, 5.0]);
    assert_eq!(
        told(films().column("sentiment").as_("stars")),
        "table: there is a column `stars` already: rename it first, or leave it out with `.only`"
    );
    assert!(
        told(films().column("sentimant").as_("x"))
            .ends_with("there is no column `sentimant`; did you mean `sentiment`?")
    );
    assert_eq!(films().column("text").as_("text").unwrap().columns(), films().columns());
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    renamed.write_parquet(&path).unwrap();
    assert_eq!(Dataset::open(&path).unwrap().columns(), ["text", "label", "stars"]);
}

/// sorted(set(["positive", "negative", "neutral", "positive"])) in Python: negative, neutral, positive.
#[test]
fn text_becomes_numbers_of_classes_in_sorted_or_given_order_with_the_names_kept() {
    let sorted = films().column("sentiment").to_classes(Classes::sorted()).as_("labels").unwrap();
    assert_eq!(sorted.integers("labels").unwrap(), [2, 0, 1, 2]);
    assert_eq!(sorted.class_names("labels").unwrap().unwrap(), ["negative", "neutral", "positive"]);
    assert_eq!(sorted.columns(), ["text", "labels", "stars"]);
    let given =
        films().column("sentiment").to_classes(["positive", "neutral", "negative"]).as_("sentiment").unwrap();
    assert_eq!(given.integers("sentiment").unwrap(), [0, 2, 1, 0]);
    // The order of one set for another, and the names after a selection, a rename and a copy of rows.
    let names = sorted.class_names("labels").unwrap().unwrap();
    let other = films().select(&[1, 1]).unwrap().column("sentiment").to_classes(names).as_("labels").unwrap();
    assert_eq!(other.integers("labels").unwrap(), [0, 0]);
    assert_eq!(other.column("labels").as_("y").unwrap().class_names("y").unwrap().unwrap().len(), 3);
    assert_eq!(other.texts("text").unwrap(), ["b", "b"]);
    // Another column in its place has other classes, or none.
    assert_eq!(sorted.with_integers("labels", [0; 4]).unwrap().class_names("labels").unwrap(), None);
    // "Ä" is U+00C4 and comes behind "z" in Python's order.
    let words = table(&[("w", array(StringArray::from(vec!["z", "Ä", "a", "Z"])))]);
    let words = words.column("w").to_classes(Classes::sorted()).as_("w").unwrap();
    assert_eq!(words.class_names("w").unwrap().unwrap(), ["Z", "a", "z", "Ä"]);
}

#[test]
fn a_dictionary_lists_and_whole_numbers_have_classes_too() {
    let dictionary: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    let of_dictionary =
        table(&[("c", array(dictionary))]).column("c").to_classes(Classes::sorted()).as_("c").unwrap();
    assert_eq!(of_dictionary.integers("c").unwrap(), [0, 1, 0]);
    let lists = tags().column("tags").to_classes(Classes::sorted()).as_("labels").unwrap();
    assert_eq!(lists.integer_lists("labels").unwrap(), [vec![1, 0, 1], vec![], vec![2]]);
    assert_eq!(lists.class_names("labels").unwrap().unwrap(), ["a", "b", "c"]);
    let numbers = table(&[("c", array(Int64Array::from(vec![1, 0])))]);
    let named = numbers.column("c").to_classes(["no", "yes"]).as_("labels").unwrap();
    assert_eq!(
        (named.integers("labels").unwrap(), named.class_names("labels").unwrap().unwrap()),
        (vec![1, 0], vec!["no".to_owned(), "yes".to_owned()])
    );
    let truths = table(&[("c", array(BooleanArray::from(vec![true, false])))]);
    assert_eq!(truths.column("c").to_classes(["no", "yes"]).as_("c").unwrap().integers("c").unwrap(), [1, 0]);
}

/// A batch of multi-hot labels, as binary cross entropy reads them.
#[derive(brew_core::prelude::Batch)]
struct MultiHot {
    #[column(f32)]
    labels: Tensor,
}

#[test]
fn lists_of_classes_become_multi_hot_that_a_batch_takes_as_floats() {
    // sklearn.preprocessing.MultiLabelBinarizer on the same lists: [[1,1,0],[0,0,0],[0,0,1]] and [[1,0,1],[0,0,0],[0,1,0]].
    for (column, expected) in [
        ("tags", [[1., 1., 0.], [0., 0., 0.], [0., 0., 1.]]),
        ("ids", [[1., 0., 1.], [0., 0., 0.], [0., 1., 0.]]),
    ] {
        let hot = tags().column(column).to_multi_hot(["a", "b", "c"]).as_("labels").unwrap();
        assert_eq!(hot.class_names("labels").unwrap().unwrap(), ["a", "b", "c"]);
        let batch = epoch(&hot.batches::<MultiHot>(3), 0).remove(0);
        assert_eq!(batch.labels.kind(), Kind::Float);
        assert_eq!(batch.labels, Tensor::from_slice2(&expected).to_kind(Kind::Float));
        let folder = tempdir().unwrap();
        for name in ["a.parquet", "a.arrow"] {
            let path = folder.path().join(name);
            if name.ends_with("parquet") { hot.write_parquet(&path) } else { hot.write_arrow(&path) }
                .unwrap();
            let read = Dataset::open(&path).unwrap();
            assert_eq!(read.integer_lists("labels").unwrap(), hot.integer_lists("labels").unwrap());
            assert_eq!(read.class_names("labels").unwrap().unwrap(), ["a", "b", "c"]);
        }
    }
    let sorted = tags().column("tags").to_multi_hot(Classes::sorted()).as_("tags").unwrap();
    assert_eq!(sorted.integer_lists("tags").unwrap()[0], [1, 1, 0]);
}

// Its 0s and 1s would be taken for the classes 0 and 1, so that every row would have both or one of them.
#[test]
fn a_column_that_is_multi_hot_already_is_rejected() {
    let names = ["a", "b", "c"];
    let hot = tags().column("tags").to_multi_hot(names).as_("hot").unwrap();
    let message =
        "column `hot` is multi-hot already, a 0 or 1 for each class in every list: read it as it is";
    let again = told(hot.column("hot").to_multi_hot(names).as_("l"));
    assert!(again.contains(message), "{again}");
    // From a file that says nothing of its meaning.
    let folder = tempdir().unwrap();
    let file = folder.path().join("hot.jsonl");
    std::fs::write(&file, "{\"hot\": [0, 1, 1]}\n{\"hot\": [0, 0, 0]}\n").unwrap();
    let plain = Dataset::open(&file).unwrap();
    let plain_again = told(plain.column("hot").to_multi_hot(names).as_("l"));
    assert!(plain_again.contains(message) && plain_again.contains("hot.jsonl"), "{plain_again}");
    // Lists of class numbers that are no such vectors.
    std::fs::write(&file, "{\"hot\": [0, 1]}\n{\"hot\": [1]}\n").unwrap();
    let numbers = Dataset::open(&file).unwrap().column("hot").to_multi_hot(names).as_("l").unwrap();
    assert_eq!(numbers.integer_lists("l").unwrap(), [[1, 1, 0], [0, 1, 0]]);
}

#[test]
fn a_value_that_is_not_a_class_is_rejected_with_its_row() {
    let two = ["negative", "positive"];
    assert_eq!(
        told(films().column("sentiment").to_classes(two).as_("labels")),
        "table, row 2, column `sentiment`: `neutral` is none of the 2 classes; there are: `negative`, \
         `positive`"
    );
    let selected = films().select(&[3, 2]).unwrap();
    assert!(
        told(selected.column("sentiment").to_classes(["positiv"]).as_("labels")).starts_with(
            "table, row 3, column `sentiment`: `positive` is none of the 1 classes; did you mean"
        )
    );
    assert!(
        told(tags().column("tags").to_multi_hot(["a", "b"]).as_("l"))
            .ends_with("row 2, column `tags`: `c` is none of the 2 classes; there are: `a`, `b`")
    );
    assert!(
        told(tags().column("ids").to_multi_hot(["a", "b"]).as_("l"))
            .ends_with("row 0, column `ids`: 2 is not the number of one of the 2 classes a, b")
    );
    let negative = table(&[("c", array(Int64Array::from(vec![0, -1])))]);
    assert_eq!(
        told(negative.column("c").to_classes(two).as_("c")),
        "table, row 1, column `c`: -1 is not the number of one of the 2 classes negative, positive"
    );
    let missing = table(&[("c", array(StringArray::from(vec![Some("a"), None])))]);
    assert!(
        told(missing.column("c").to_classes(Classes::sorted()).as_("c"))
            .contains("row 1, column `c`: the value is missing")
    );
    assert!(
        told(negative.column("c").to_classes(Classes::sorted()).as_("c"))
            .ends_with("list the class names in that order")
    );
    assert!(
        told(films().column("sentiment").to_classes(["a", "a"]).as_("c"))
            .ends_with("the class `a` is given twice")
    );
    assert!(
        told(films().column("stars").to_classes(two).as_("c")).ends_with(
            "its type is Float64, which cannot be read as classes, which are text or whole numbers"
        )
    );
    assert!(
        told(films().column("sentiment").to_multi_hot(two).as_("c"))
            .contains("cannot be read as lists of classes")
    );
}

#[test]
fn numbers_are_cast_without_loss_or_refused_with_the_row() {
    let text = table(&[("n", array(StringArray::from(vec!["1", " -2 ", "3"])))]);
    assert_eq!(text.column("n").to_integers().as_("n").unwrap().integers("n").unwrap(), [1, -2, 3]);
    assert_eq!(text.column("n").to_floats().as_("f").unwrap().floats("f").unwrap(), [1.0, -2.0, 3.0]);
    let floats = table(&[("n", array(Float64Array::from(vec![1.0, 0.0])))]);
    assert_eq!(floats.column("n").to_integers().as_("labels").unwrap().integers("labels").unwrap(), [1, 0]);
    assert_eq!(
        told(films().column("stars").to_integers().as_("n")),
        "table, row 2, column `stars`: 2.5 is not a whole number that int64 holds"
    );
    for value in [f64::NAN, f64::INFINITY, 9_223_372_036_854_775_808.0] {
        let one = table(&[("n", array(Float64Array::from(vec![value])))]);
        assert!(
            told(one.column("n").to_integers().as_("n")).ends_with("is not a whole number that int64 holds")
        );
    }
    let least = table(&[("n", array(Float64Array::from(vec![-9_223_372_036_854_775_808.0])))]);
    assert_eq!(least.column("n").to_integers().as_("n").unwrap().integers("n").unwrap(), [i64::MIN]);
    let big = table(&[("n", array(Int64Array::from(vec![1 << 53, (1 << 53) + 1])))]);
    assert_eq!(
        told(big.column("n").to_floats().as_("n")),
        "table, row 1, column `n`: 9007199254740993 is not exact in float64"
    );
    let huge = table(&[("n", array(UInt64Array::from(vec![u64::MAX])))]);
    assert!(
        told(huge.column("n").to_integers().as_("n"))
            .contains("row 0, column `n`: 18446744073709551615 does not fit")
    );
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(0)])]);
    let lists = table(&[("n", array(lists))]).column("n").to_floats().as_("n").unwrap();
    assert_eq!(lists.schema().field(0).data_type().to_string(), "List(Float64)");
}

/// `datasets` names classes by column in the schema; they stay with the column, whatever it is called.
#[test]
fn the_class_names_of_python_go_with_the_column() {
    let folder =
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saved_by_datasets");
    let saved = Dataset::open(folder).unwrap();
    let renamed = saved.column("label").as_("labels").unwrap();
    assert_eq!(renamed.class_names("labels").unwrap().unwrap(), ["negative", "positive"]);
    let other = renamed.only(&["labels", "text"]).unwrap().column("text").as_("label").unwrap();
    assert_eq!(other.class_names("label").unwrap(), None, "a text that took the name of the label");
    assert_eq!(other.columns(), ["labels", "label"]);
    assert!(told(saved.only(&["text", "text"])).ends_with("the column `text` is listed twice"));
    let batch = RecordBatch::try_from_iter([("a", array(Int64Array::from(vec![1])))]).unwrap();
    let metadata = HashMap::from([("huggingface".to_owned(), "{".to_owned())]);
    let schema =
        Arc::new(arrow::datatypes::Schema::new_with_metadata(batch.schema().fields().clone(), metadata));
    let broken = Dataset::from_record_batches("t", vec![batch.with_schema(schema).unwrap()]).unwrap();
    assert!(
        told(broken.class_names("a"))
            .starts_with("t: what `datasets` says about the columns cannot be read: ")
    );
}
