//! Rows disturbed by the loader: lists alike, anew in each epoch, the same after a restart.

use brew_core::batch::{Batches, FromColumns};
use brew_data::augment::{Augmentation, Span};
use brew_data::{Loader, Tokenizer};

use crate::batches::{Numbered, Review, array, integers, minilm, table};
use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::datatypes::Int64Type;

fn lists(rows: &[&[i64]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.iter().copied().map(Some)));
    array(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

/// Three reviews: CLS is 101, SEP 102.
fn reviews<B: FromColumns>(augmentation: Augmentation) -> Loader<B> {
    let tokens: [&[i64]; 3] =
        [&[101, 1, 2, 3, 4, 5, 6, 102], &[101, 7, 8, 102], &[101, 11, 12, 13, 14, 15, 16, 17, 18, 102]];
    let table = table(&[
        ("id", array(Int64Array::from(vec![0, 1, 2]))),
        ("input_ids", lists(&tokens)),
        ("attention_mask", lists(&tokens.map(|row| &[1; 10][..row.len()]))),
        ("labels", array(Int64Array::from(vec![0, 1, 1]))),
    ]);
    table.batches(2).augmented(augmentation)
}

fn steps() -> Augmentation {
    Augmentation::of_tokens([101, 102], Some(103)).seed(5)
}

/// Tokens and masks of an epoch, row for row and without padding.
fn rows(augmentation: Augmentation, epoch: u64) -> Vec<Vec<i64>> {
    let mut rows = Vec::new();
    for batch in reviews::<Review>(augmentation).epoch(epoch).unwrap() {
        let batch = batch.unwrap();
        let (ids, mask) = (batch.input_ids.unwrap(), batch.attention_mask.unwrap());
        assert_eq!(ids.size(), mask.size());
        for row in 0..ids.size()[0] {
            let (ids, mask) = (integers(&ids.get(row)), integers(&mask.get(row)));
            let length = mask.iter().sum::<i64>() as usize;
            assert!(mask[..length].iter().all(|&one| one == 1) && ids[length..].iter().all(|&id| id == 0));
            rows.push(ids[..length].to_vec());
        }
    }
    rows
}

#[test]
fn rows_are_disturbed_between_their_special_tokens() {
    let swapped = rows(steps().long_disorder(1.0, Span::Tokens(2)), 0);
    assert_eq!(swapped[0], [101, 2, 1, 4, 3, 6, 5, 102]);
    assert_eq!(swapped[1], [101, 8, 7, 102]);
    let masked = rows(steps().masking(1.0), 0);
    assert_eq!(masked[1], [101, 103, 103, 102]);
    let spans = rows(steps().n_gram_sampling([(2, 1.0)]), 0);
    assert!(spans.iter().all(|row| row.len() == 4 && row[1] + 1 == row[2]), "{spans:?}");
}

#[test]
fn an_epoch_is_the_same_after_a_restart_and_another_than_the_next() {
    let steps = || steps().deleting(0.3).masking(0.2).short_disorder([0.5, 0.2, 0.1, 0.1, 0.1]);
    assert_eq!(rows(steps(), 3), rows(steps(), 3));
    assert_ne!(rows(steps(), 3), rows(steps(), 4));
    assert_ne!(rows(steps(), 3), rows(steps().seed(6), 3));
}

// A row is disturbed by its own number, so neither shuffling nor the batch it is in changes it.
#[test]
fn the_order_of_rows_does_not_change_what_becomes_of_them() {
    let steps = || steps().deleting(0.5);
    let in_order = rows(steps(), 0);
    let mut shuffled = Vec::new();
    for batch in reviews::<Review>(steps()).shuffled(9).bucketed().epoch(0).unwrap() {
        let batch = batch.unwrap();
        let (ids, mask) = (batch.input_ids.unwrap(), batch.attention_mask.unwrap());
        for row in 0..ids.size()[0] {
            let length = integers(&mask.get(row)).iter().sum::<i64>();
            shuffled.push(integers(&ids.get(row).narrow(0, 0, length)));
        }
    }
    assert_ne!(shuffled, in_order);
    shuffled.sort();
    let mut sorted = in_order;
    sorted.sort();
    assert_eq!(shuffled, sorted);
}

#[test]
fn settings_that_cannot_be_are_refused_before_the_first_row() {
    let refusal = |error: brew_data::Error| error.to_string();
    let error = refusal(reviews::<Review>(steps().masking(1.5)).check().unwrap_err());
    assert!(error.contains("masking: a probability is 1.5"), "{error}");
    let error = refusal(reviews::<Numbered>(steps().masking(0.1)).check().unwrap_err());
    assert!(error.contains("`input_ids`") && error.contains("`attention_mask`"), "{error}");
}

// all-MiniLM-L6-v2, in Python: tokenizer.all_special_ids is [100, 102, 0, 101, 103], of which 100 is [UNK].
#[test]
fn special_tokens_are_the_tokenizers_own() {
    let tokenizer = Tokenizer::from_folder(minilm()).unwrap();
    let of_tokenizer = Augmentation::of(&tokenizer);
    assert_eq!(of_tokenizer, Augmentation::of_tokens([0, 101, 102, 103], Some(103)));
}
