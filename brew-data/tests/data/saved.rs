//! A folder that Python's `datasets` wrote (`fixtures/saved_by_datasets.py`), and the streams in it.

use std::path::PathBuf;

use brew_core::batch::Batches;
use brew_core::prelude::Batch;
use brew_core::tch::{Kind, Tensor};
use brew_data::Dataset;

use crate::batches::{Halves16, Padded, epoch};
use crate::formats::{files, message};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/saved_by_datasets")
}

#[test]
fn a_folder_that_python_saved_opens_with_its_values_classes_and_nulls() {
    let table = Dataset::open(folder()).unwrap();
    assert_eq!(
        table.columns(),
        ["text", "label", "input_ids", "tags", "answers.text", "answers.start", "score", "gold"]
    );
    assert_eq!(table.rows(), 6);
    assert_eq!(table.class_names("label").unwrap().unwrap(), ["negative", "positive"]);
    assert_eq!(table.class_names("tags").unwrap().unwrap(), ["O", "B-PER", "I-PER"]);
    assert_eq!(table.class_names("text").unwrap(), None);
    assert!(table.class_names("lable").unwrap_err().to_string().ends_with("did you mean `label`?"));

    let ids = vec![vec![101, 7, 102], vec![], vec![101, 102], vec![5], vec![6, 7], vec![8, 9, 10, 11]];
    assert_eq!(table.integer_lists("input_ids").unwrap(), ids);
    assert_eq!(table.floats("score").unwrap(), [0.5, -1.5, 0.099_975_585_937_5, 65504.0, 0.0, 2.0]);
    assert_eq!(table.integers("gold").unwrap(), [1, 0, 1, 0, 1, 1]);
    let whole = table.select(&[0, 2, 4, 5]).unwrap();
    assert_eq!(whole.texts("text").unwrap(), ["fine", "café", "bad", "so so"]);
    assert_eq!(whole.integers("label").unwrap(), [1, 1, 0, 1]);
    let answered = table.select(&[0, 1, 3, 4, 5]).unwrap();
    let answers: [&[&str]; 5] = [&["a", "b"], &[], &["c"], &[], &["d"]];
    assert_eq!(answered.text_lists("answers.text").unwrap(), answers);
}

/// The labels alone.
#[derive(Debug, Batch)]
struct Labels {
    #[column(i64)]
    label: Tensor,
}

// What `datasets` says of a column reaches a run, which holds it against the names that its models have.
#[test]
fn batches_name_the_classes_of_their_columns_as_the_data_does() {
    let batches = Dataset::open(folder()).unwrap().batches::<Labels>(2).shuffled(3);
    let expected = Some(vec!["negative".to_owned(), "positive".to_owned()]);
    assert_eq!(batches.class_names("label").unwrap(), expected);
    assert_eq!(batches.processed(Ok).class_names("label").unwrap(), expected);
}

#[test]
fn a_null_of_a_saved_folder_is_named_by_its_shard_and_row() {
    let table = Dataset::open(folder()).unwrap();
    let null = "the value is missing (null): fill it or drop the row";
    let named = |error: brew_data::Error| error.to_string().replace(&format!("{}/", folder().display()), "");
    assert_eq!(
        named(table.integers("label").unwrap_err()),
        format!("data-00001-of-00002.arrow, row 0, column `label`: {null}")
    );
    // The whole struct is null in row 2, its member alone in row 1.
    assert_eq!(
        named(table.text_lists("answers.text").unwrap_err()),
        format!("data-00000-of-00002.arrow, row 2, column `answers.text`: {null}")
    );
    assert_eq!(
        named(table.integers("answers.start").unwrap_err()),
        format!("data-00000-of-00002.arrow, row 1, column `answers.start`: {null}")
    );
}

#[test]
fn a_saved_folder_streams_as_batches() {
    let table = Dataset::open(folder()).unwrap();
    let batches = epoch(&table.batches::<Padded>(4), 0);
    let first = batches[0].input_ids.as_ref().unwrap();
    assert_eq!(first, &Tensor::from_slice2(&[[101_i64, 7, 102], [0, 0, 0], [101, 102, 0], [5, 0, 0]]));
    let halves = epoch(&table.batches::<Halves16>(6), 0).remove(0).score.unwrap();
    assert_eq!(halves.kind(), Kind::Half);
    assert_eq!(
        halves.to_kind(Kind::Double),
        Tensor::from_slice(&[0.5_f64, -1.5, 0.099_975_585_937_5, 65504.0, 0.0, 2.0])
    );
}

#[test]
fn a_stream_truncated_anywhere_is_an_error_that_names_it() {
    let whole = std::fs::read(folder().join("data-00000-of-00002.arrow")).unwrap();
    // Any 8 bytes; the last 8 are the mark that ends a stream.
    for length in (8..whole.len()).step_by(8) {
        let folder = files(&[("a.arrow", &whole[..length])]);
        let cut = message(&folder, Dataset::open(folder.path().join("a.arrow")));
        let told = ["is damaged or truncated: ", "is incomplete: it lacks the mark that ends a stream; "];
        let told = told.map(|told| format!("a.arrow: the Arrow IPC stream {told}"));
        assert!(told.iter().any(|told| cut.starts_with(told)), "{length}: {cut}");
    }
}

#[test]
fn data_files_outside_their_folder_are_not_read() {
    let whole = std::fs::read(folder().join("data-00000-of-00002.arrow")).unwrap();
    let elsewhere = files(&[("a.arrow", &whole)]);
    let absolute = elsewhere.path().join("a.arrow");
    for name in [absolute.to_str().unwrap(), "../a.arrow", "inside/../../a.arrow", "..", ""] {
        let state = format!("{{\"_data_files\": [{{\"filename\": {name:?}}}]}}");
        let saved = files(&[("state.json", state.as_bytes())]);
        assert_eq!(
            message(&saved, Dataset::open(saved.path())),
            format!("state.json: it lists `{name}`, which is not inside its folder")
        );
    }
}

#[test]
fn folders_of_several_data_sets_and_of_selections_say_what_to_open() {
    let splits = files(&[("dataset_dict.json", br#"{"splits": ["train", "test"]}"#)]);
    assert_eq!(
        message(&splits, Dataset::open(splits.path())),
        "FOLDER: the folder has the splits train, test: open one with `Dataset::splits(path)?.split(\"train\")`"
    );
    let state =
        br#"{"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "i.arrow"}]}"#;
    let selected = files(&[("state.json", state)]);
    assert_eq!(
        message(&selected, Dataset::open(selected.path())),
        "state.json: the data set stores a selection of rows separately: save it again after \
         `flatten_indices()`"
    );
}
