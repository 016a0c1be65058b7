//! Masks and labels by the loader: the same whatever the batches, the workers and the order; made of the tokens alone.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::datatypes::Int64Type;
use brew_core::batch::Batches;
use brew_core::model::MaskedLmBatch;
use brew_core::prelude::TextBatch;
use brew_data::augment::{Augmentation, MaskedLm};
use brew_data::{Dataset, Loader, Tokenize, Tokenizer};
use tempfile::tempdir;

use crate::batches::{array, integers, minilm, table};

fn lists(rows: &[Vec<i64>]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().copied().map(Some)));
    array(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

/// Rows of CLS 101, up to 40 tokens of which each is known by its row and place, and SEP 102.
fn tokens() -> Vec<Vec<i64>> {
    let row = |row: i64| {
        let inside = (0..3 + (row * 7) % 38).map(|place| 1000 + 100 * row + place);
        [101].into_iter().chain(inside).chain([102]).collect()
    };
    (0..25).map(row).collect()
}

fn rows() -> Dataset {
    rows_with(2, 1)
}

/// Rows whose words have this many tokens, and whose labels of another task are this.
fn rows_with(tokens_per_word: i64, label: i64) -> Dataset {
    let tokens = tokens();
    let ones: Vec<Vec<i64>> = tokens.iter().map(|row| vec![1; row.len()]).collect();
    let words: Vec<Vec<i64>> =
        tokens
            .iter()
            .map(|row| {
                (0..row.len() as i64)
                    .map(|place| {
                        if [0, row.len() as i64 - 1].contains(&place) { -1 } else { place / tokens_per_word }
                    })
                    .collect()
            })
            .collect();
    table(&[
        ("input_ids", lists(&tokens)),
        ("attention_mask", lists(&ones)),
        ("word_ids", lists(&words)),
        // Of another task: one number per row, with names.
        ("labels", array(Int64Array::from(vec![label; 25]))),
    ])
}

fn masks() -> MaskedLm {
    MaskedLm::of_tokens([0, 101, 102, 103], Some(103), 0..4000).seed(3)
}

type Row = (Vec<i64>, Vec<i64>);

/// Tokens and labels of every row, by the tokens that it had.
fn masked(loader: Loader<MaskedLmBatch>, epoch: u64, from: usize) -> BTreeMap<Vec<i64>, Row> {
    let mut rows = BTreeMap::new();
    for batch in loader.epoch_from(epoch, from).unwrap() {
        let batch = batch.unwrap();
        let labels = batch.labels.unwrap();
        assert_eq!(labels.size(), batch.input_ids.size());
        for row in 0..batch.input_ids.size()[0] {
            let of = |tensor: &brew_core::tch::Tensor| integers(&tensor.get(row));
            let (ids, mask, labels) = (of(&batch.input_ids), of(&batch.attention_mask), of(&labels));
            let length = mask.iter().sum::<i64>() as usize;
            assert!(
                labels[length..].iter().all(|label| *label == -100)
                    && ids[length..].iter().all(|id| *id == 0)
            );
            let original = tokens().into_iter().find(|original| {
                original.len() == length
                    && (0..length).all(|place| [original[place], -100].contains(&labels[place]))
                    && (0..length).all(|place| labels[place] != -100 || ids[place] == original[place])
            });
            let original = original.expect("labels are the original tokens, and the others stay");
            assert!(rows.insert(original, (ids[..length].to_vec(), labels[..length].to_vec())).is_none());
        }
    }
    rows
}

#[test]
fn neither_batches_nor_workers_nor_the_order_nor_the_starting_batch_change_a_rows_masks() {
    let loader = |size| rows().batches::<MaskedLmBatch>(size).masked_lm(masks());
    let first = masked(loader(4), 2, 0);
    assert_eq!(first.len(), 25);
    for other in [
        loader(1),
        loader(25).workers(4),
        loader(4).shuffled(9).bucketed(),
        loader(8).shuffled_in_blocks(1).up_to_tokens(100),
        loader(4).padded_to_multiple_of(16),
    ] {
        assert_eq!(masked(other, 2, 0), first);
    }
    let rest = masked(loader(4), 2, 3);
    assert_eq!(rest.len(), 13);
    assert!(rest.iter().all(|(row, masked)| first[row] == *masked));
    let mut of_ranks = masked(loader(4).share(0, 2), 2, 0);
    of_ranks.extend(masked(loader(4).share(1, 2), 2, 0));
    assert_eq!(of_ranks, first);
    let chosen = |rows: &BTreeMap<Vec<i64>, Row>| {
        rows.values().flat_map(|(_, labels)| labels).filter(|label| **label != -100).count()
    };
    assert!(chosen(&first) > 20, "{}", chosen(&first));
    for (other, epoch) in [(loader(4), 3), (rows().batches(4).masked_lm(masks().seed(4)), 2)] {
        assert_ne!(masked(other, epoch, 0), first);
    }
    // A row keeps its masks in a part of the table.
    let part = rows().select(&[24, 3, 7]).unwrap().batches(2).masked_lm(masks());
    assert!(masked(part, 2, 0).iter().all(|(row, masked)| first[row] == *masked));
}

#[test]
fn masked_batches_vary_and_have_no_classes_and_say_what_they_depend_on() {
    let plain = || rows().batches::<MaskedLmBatch>(4);
    // The data's own labels are one per row, and no batch of tokens.
    assert!(!plain().varies());
    let loader = plain().masked_lm(masks());
    assert!(loader.varies());
    loader.check().unwrap();
    assert_eq!(loader.class_names("labels").unwrap(), None);
    let differ = |one: &Loader<MaskedLmBatch>, other: &Loader<MaskedLmBatch>| -> Vec<String> {
        let (one, other) = (one.settings().unwrap(), other.settings().unwrap());
        one.into_iter().filter(|(name, value)| other[name] != *value).map(|(name, _)| name).collect()
    };
    for other in [
        masks().seed(4),
        masks().probability(0.2),
        masks().replacing(0.8, 0.2),
        MaskedLm::of_tokens([0, 101, 102, 103], Some(103), 0..3999).seed(3),
        MaskedLm::of_tokens([0, 101, 102, 103], Some(104), 0..4000).seed(3),
        MaskedLm::of_tokens([0, 101, 102], Some(103), 0..4000).seed(3),
    ] {
        assert_eq!(differ(&loader, &plain().masked_lm(other)), ["masks"]);
    }
    assert_eq!(differ(&loader, &plain().masked_lm(masks().whole_words())), ["data", "masks"]);
    assert_eq!(differ(&loader, &plain()), ["data", "masks"]);
    assert!(differ(&loader, &plain().masked_lm(masks())).is_empty());

    let of = |dataset: Dataset, masks: MaskedLm| dataset.batches::<MaskedLmBatch>(4).masked_lm(masks);
    // Whole words are those of the data, and masks make the labels.
    let whole = of(rows(), masks().whole_words());
    assert_eq!(differ(&whole, &of(rows_with(3, 1), masks().whole_words())), ["data"]);
    assert!(differ(&loader, &of(rows_with(3, 1), masks())).is_empty());
    assert!(differ(&loader, &of(rows_with(2, 0), masks())).is_empty());
    assert_eq!(differ(&plain(), &rows_with(2, 0).batches(4)), ["data"]);
}

#[test]
fn whole_words_are_those_of_the_data() {
    let loader = rows().batches::<MaskedLmBatch>(4).masked_lm(masks().whole_words().probability(0.3));
    let mut chosen = 0;
    for (original, (_, labels)) in masked(loader, 0, 0) {
        for place in 1..original.len() - 2 {
            // Words are places 1; 2 and 3; 4 and 5; …
            if place % 2 == 0 && place + 1 < original.len() - 1 {
                assert_eq!(labels[place] == -100, labels[place + 1] == -100, "{labels:?}");
                chosen += usize::from(labels[place] != -100);
            }
        }
    }
    assert!(chosen > 20, "{chosen}");
}

// A row that is augmented keeps the original token as the label of each token that is chosen.
#[test]
fn augmented_rows_are_masked_as_they_come_out_of_it() {
    let steps = Augmentation::of_tokens([0, 101, 102, 103], Some(103)).deleting(0.4).masking(0.2).seed(1);
    let loader = rows().batches::<MaskedLmBatch>(4).augmented(steps).masked_lm(masks().probability(0.5));
    let (mut chosen, mut masked_before) = (0, 0);
    for batch in loader.epoch(0).unwrap() {
        let batch = batch.unwrap();
        let (ids, labels) = (integers(&batch.input_ids), integers(&batch.labels.unwrap()));
        for (id, label) in ids.iter().zip(&labels) {
            assert!(*label == -100 || *label >= 1000, "{label}");
            chosen += usize::from(*label != -100);
            masked_before += usize::from(*label == -100 && *id == 103);
        }
    }
    assert!(chosen > 50 && masked_before > 10, "{chosen}, {masked_before}");
}

#[test]
fn settings_and_batches_that_cannot_be_are_refused_before_the_first_row() {
    let refused = |masks: MaskedLm| {
        rows().batches::<MaskedLmBatch>(4).masked_lm(masks).check().unwrap_err().to_string()
    };
    let none = || MaskedLm::of_tokens([], None, []);
    for (masks, parts) in [
        (masks().probability(1.5), vec!["the probability is 1.5"]),
        (masks().probability(f64::NAN), vec!["the probability is NaN"]),
        (masks().replacing(-0.1, 2.0), vec!["share of masks is -0.1", "share of random tokens is 2"]),
        (masks().replacing(0.8, 0.3), vec!["0.8 and 0.3", "at most 1"]),
        (none(), vec!["no mask token", "no tokens to draw"]),
    ] {
        let message = refused(masks);
        for part in parts {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
    rows().batches::<MaskedLmBatch>(4).masked_lm(masks().replacing(0.7, 0.3)).check().unwrap();
    rows().batches::<MaskedLmBatch>(4).masked_lm(none().replacing(0.0, 0.0)).check().unwrap();
    let message = rows().batches::<TextBatch>(4).masked_lm(masks()).check().unwrap_err().to_string();
    assert!(message.contains("`labels` of int64 with the pad value -100"), "{message}");

    let whole = || masks().whole_words();
    let without = table(&[("input_ids", lists(&tokens())), ("attention_mask", lists(&tokens()))]);
    let message = without.batches::<MaskedLmBatch>(4).masked_lm(whole()).check().unwrap_err().to_string();
    assert!(message.contains("`word_ids`") && message.contains("Tokenize::text(…).word_ids()"), "{message}");
    let short: Vec<Vec<i64>> = tokens().iter().map(|row| row[1..].to_vec()).collect();
    let unequal = table(&[
        ("input_ids", lists(&tokens())),
        ("attention_mask", lists(&tokens())),
        ("word_ids", lists(&short)),
    ]);
    let message = unequal.batches::<MaskedLmBatch>(4).masked_lm(whole()).check().unwrap_err().to_string();
    assert!(message.contains("row 0, column `word_ids`: 4 words"), "{message}");
    let steps = Augmentation::of_tokens([101], Some(103)).deleting(0.1);
    let both = rows().batches::<MaskedLmBatch>(4).augmented(steps).masked_lm(whole());
    let message = both.check().unwrap_err().to_string();
    assert!(message.contains("whole words") && message.contains(".augmented(…)"), "{message}");
}

#[test]
fn a_tokenizer_that_did_not_make_the_tokens_is_refused() {
    let folder = tempdir().unwrap();
    let words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..300).map(|word| format!("w{word}")))
        .collect();
    std::fs::write(folder.path().join("vocab.txt"), words.join("\n")).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"tokenizer_class": "BertTokenizer"}"#)
        .unwrap();
    let (own, other) =
        (Tokenizer::from_folder(folder.path()).unwrap(), Tokenizer::from_folder(minilm()).unwrap());
    let texts = table(&[("text", array(StringArray::from(vec!["w1 w2", "w3"])))]);
    let tokens = texts.tokenize(&own, &Tokenize::text("text", 16).word_ids(), folder.path()).unwrap();
    let loader =
        |tokenizer| tokens.batches::<MaskedLmBatch>(2).masked_lm(MaskedLm::of(tokenizer).whole_words());
    loader(&own).check().unwrap();
    let message = loader(&other).check().unwrap_err().to_string();
    assert!(message.contains("of another vocabulary than its tokenizer"), "{message}");
}
