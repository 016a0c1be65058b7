//! Packed rows: whole documents side by side, numbered in the mask, with no target across a border.

use std::fs;
use std::path::Path;

use brew_core::batch::Position;
use brew_core::model::CausalLmBatch;
use brew_data::{CausalRows, Dataset, Tokenize, Tokenizer, TooLong};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::batches::integers;

/// Rows of tokens that say which row they are of, learned from the second half on.
fn tokens(folder: &TempDir, lengths: &[usize]) -> Dataset {
    let rows: Vec<Value> = lengths
        .iter()
        .enumerate()
        .map(|(row, &length)| {
            let ids: Vec<usize> = (0..length).map(|token| row * 100 + token).collect();
            let labels: Vec<i64> = ids
                .iter()
                .enumerate()
                .map(|(at, id)| if at * 2 < length { -100 } else { *id as i64 })
                .collect();
            json!({"input_ids": ids, "attention_mask": vec![1; length], "labels": labels})
        })
        .collect();
    let path = folder.path().join("tokens.json");
    fs::write(&path, Value::from(rows).to_string()).unwrap();
    Dataset::open(path).unwrap()
}

fn lists(dataset: &Dataset, column: &str) -> Vec<Vec<i64>> {
    dataset.integer_lists(column).unwrap()
}

#[test]
fn documents_are_numbered_and_the_first_token_of_each_is_no_target() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let rows: Vec<Value> = [6, 5, 4, 3, 2]
        .iter()
        .map(|&length| json!({"input_ids": vec![length; length], "labels": vec![length; length]}))
        .collect();
    fs::write(&path, Value::from(rows).to_string()).unwrap();
    let packed = Dataset::open(path).unwrap().pack(10, TooLong::Refuse, folder.path()).unwrap();
    assert_eq!(packed.columns(), ["input_ids", "attention_mask", "labels"]);
    assert_eq!(
        lists(&packed, "input_ids"),
        [vec![6, 6, 6, 6, 6, 6, 4, 4, 4, 4], vec![5, 5, 5, 5, 5, 3, 3, 3, 2, 2]]
    );
    assert_eq!(
        lists(&packed, "attention_mask"),
        [vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2], vec![1, 1, 1, 1, 1, 2, 2, 2, 3, 3]]
    );
    let labels = lists(&packed, "labels");
    assert_eq!(
        labels,
        [vec![-100, 6, 6, 6, 6, 6, -100, 4, 4, 4], vec![-100, 5, 5, 5, 5, -100, 3, 3, -100, 2]]
    );
    assert_eq!(labels[1].iter().filter(|label| **label != -100).count(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_document_is_packed_once_and_whole_with_its_labels(
        lengths in prop::collection::vec(1..=16_usize, 1..2500),
        capacity in 16..48_usize,
    ) {
        let folder = tempdir().unwrap();
        let rows = tokens(&folder, &lengths);
        let packed = rows.pack(capacity, TooLong::Refuse, folder.path()).unwrap();
        let (ids, documents, labels) =
            (lists(&packed, "input_ids"), lists(&packed, "attention_mask"), lists(&packed, "labels"));
        let mut seen = vec![false; lengths.len()];
        for ((ids, documents), labels) in ids.iter().zip(&documents).zip(&labels) {
            prop_assert!(ids.len() <= capacity && ids.len() == documents.len() && ids.len() == labels.len());
            let mut at = 0;
            for document in 1..=*documents.last().unwrap() {
                let row = (ids[at] / 100) as usize;
                let length = documents[at..].iter().take_while(|found| **found == document).count();
                let whole: Vec<i64> = (0..lengths[row] as i64).map(|token| row as i64 * 100 + token).collect();
                prop_assert_eq!(&ids[at..at + length], &whole);
                for token in 0..length {
                    let learned = token > 0 && token * 2 >= length;
                    prop_assert_eq!(labels[at + token], if learned { whole[token] } else { -100 });
                }
                prop_assert!(!std::mem::replace(&mut seen[row], true));
                at += length;
            }
            prop_assert_eq!(at, ids.len());
        }
        prop_assert!(seen.iter().all(|seen| *seen));
    }
}

#[test]
fn a_long_row_is_refused_with_its_number_or_cut_to_its_first_tokens() {
    let folder = tempdir().unwrap();
    let rows = tokens(&folder, &[3, 9, 2]);
    let refused = rows.pack(8, TooLong::Refuse, folder.path()).unwrap_err().to_string();
    assert!(
        refused.contains("row 1, column `input_ids`: the row has 9 tokens, and a packed row 8"),
        "{refused}"
    );
    let packed = rows.pack(8, TooLong::Cut, folder.path()).unwrap();
    assert_eq!(lists(&packed, "input_ids")[0], (100..108).collect::<Vec<_>>());
    // The row of the file, also in a selection.
    let refused = rows.select(&[1]).unwrap().pack(8, TooLong::Refuse, folder.path()).unwrap_err().to_string();
    assert!(refused.contains("row 1, "), "{refused}");
}

#[test]
fn rows_that_cannot_be_packed_are_refused_by_row_and_column() {
    let folder = tempdir().unwrap();
    let refusal = |rows: Value| {
        let path = folder.path().join("rows.json");
        fs::write(&path, rows.to_string()).unwrap();
        Dataset::open(path).unwrap().pack(8, TooLong::Refuse, folder.path()).unwrap_err().to_string()
    };
    let empty = refusal(json!([{"input_ids": [1]}, {"input_ids": []}]));
    assert!(empty.contains("row 1, column `input_ids`: the row has no tokens"), "{empty}");
    let padded = refusal(json!([{"input_ids": [1, 2], "attention_mask": [1, 0]}]));
    assert!(padded.contains("row 0, column `attention_mask`: not every token has a 1"), "{padded}");
    let short = refusal(json!([{"input_ids": [1, 2], "labels": [1]}]));
    assert!(short.contains("row 0, column `labels`: 1 values for 2 tokens"), "{short}");
    let text = refusal(json!([{"input_ids": "ab"}]));
    assert!(
        text.contains("column `input_ids`: its type is Utf8, which cannot be read as lists of token ids"),
        "{text}"
    );
    let packed = tokens(&folder, &[2, 3]).pack(8, TooLong::Refuse, folder.path()).unwrap();
    let twice = packed.pack(16, TooLong::Refuse, folder.path()).unwrap_err().to_string();
    assert!(twice.contains("is packed or padded already"), "{twice}");
    let limited = tokens(&folder, &[2]).limited_to(4, TooLong::Cut).pack(8, TooLong::Refuse, folder.path());
    assert!(limited.unwrap_err().to_string().contains("pack without a limit"));
    for too_long in [TooLong::Refuse, TooLong::Cut] {
        let none = tokens(&folder, &[2]).pack(0, too_long, folder.path()).unwrap_err().to_string();
        assert_eq!(none, "packed rows of 0 tokens have no room: ask for 1 or more");
    }
}

#[test]
fn packed_rows_are_cached_by_their_tokens_and_capacity_and_keep_the_vocabulary() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("texts.json");
    fs::write(&path, r#"[{"text": "one"}, {"text": "two"}, {"text": "three"}]"#).unwrap();
    let tokenizer =
        Tokenizer::from_folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/tokenizer"))
            .unwrap();
    let cache = folder.path().join("cache");
    let rows = Tokenize::causal(CausalRows::text("text"), 32);
    let tokens = Dataset::open(path).unwrap().tokenize(&tokenizer, &rows, &cache).unwrap();
    let files = || {
        fs::read_dir(&cache)
            .unwrap()
            .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".arrow"))
            .count()
    };
    for (capacity, expected) in [(32, 2), (32, 2), (16, 3)] {
        let packed = tokens.pack(capacity, TooLong::Refuse, &cache).unwrap();
        assert_eq!(packed.vocabulary("input_ids").unwrap(), Some(tokenizer.vocabulary().fingerprint()));
        assert_eq!(files(), expected);
    }
}

#[test]
fn a_resumed_packed_epoch_has_the_same_batches() {
    let folder = tempdir().unwrap();
    let lengths: Vec<usize> = (0..200).map(|row| 1 + row * 7 % 13).collect();
    let loader = || {
        let packed = tokens(&folder, &lengths).pack(32, TooLong::Refuse, folder.path()).unwrap();
        packed.batches::<CausalLmBatch>(4).shuffled(7)
    };
    let values = |batch: &CausalLmBatch| {
        [&batch.input_ids, &batch.attention_mask, batch.labels.as_ref().unwrap()].map(integers)
    };
    let first = loader();
    let mut walk = Position::start(&first).unwrap().walk(&first).unwrap();
    let whole: Vec<_> = walk.by_ref().map(|batch| values(&batch.unwrap())).collect();
    assert!(
        whole.len() > 8 && whole.iter().any(|[_, documents, _]| documents.iter().any(|number| *number > 3))
    );
    let mut walk = Position::start(&first).unwrap().walk(&first).unwrap();
    assert_eq!(walk.by_ref().take(5).count(), 5);
    let saved = serde_json::to_string(walk.state()).unwrap();
    drop(walk);
    let again = loader();
    let rest = serde_json::from_str::<Position>(&saved).unwrap().walk(&again).unwrap();
    assert_eq!(rest.map(|batch| values(&batch.unwrap())).collect::<Vec<_>>(), whole[5..]);
}
