//! Keys of rows: what they depend on, and what they cost.

use std::time::Instant;

use brew_core::cache::{CachedRows, MemoryCache, Row, RowKey, RowKeys, TeacherCache};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::prelude::*;

use super::support::Texts;

fn keys(batch: &TextBatch) -> RowKeys {
    let reads = ["input_ids", "attention_mask"].map(str::to_owned);
    RowKeys::of::<ClassifierOutputAdaptor>(batch, Some(&reads)).unwrap()
}

fn first(data: &Texts) -> TextBatch {
    data.epoch(0).unwrap().next().unwrap().unwrap()
}

#[test]
fn a_rows_key_depends_on_its_tokens_and_not_on_padding_place_or_labels() {
    let short = first(&Texts::of(6));
    let long = first(&Texts { length: Some(12), ..Texts::of(24) });
    let expected = keys(&short).keys;
    assert_eq!(expected, keys(&long).keys[..6]);
    assert_eq!(expected.iter().collect::<std::collections::BTreeSet<_>>().len(), 6);
    let changed =
        TextBatch { labels: short.labels.as_ref().map(|labels| labels + 1), ..first(&Texts::of(6)) };
    assert_eq!(expected, keys(&changed).keys);
    let other = first(&Texts::of(6));
    let _ = other.input_ids.get(2).get(1).fill_(39);
    let others = keys(&other).keys;
    assert_ne!(expected[2], others[2]);
    assert_eq!((&expected[..2], &expected[3..]), (&others[..2], &others[3..]));
    // One token less, and nothing else.
    let _ = other.attention_mask.get(5).fill_(0);
    let _ = other.attention_mask.get(5).get(0).fill_(1);
    assert_ne!(expected[5], keys(&other).keys[5]);
}

#[test]
fn batches_without_a_mask_are_recognised_by_their_pad_values() {
    #[derive(Batch)]
    struct Tokens {
        #[column(i64, pad = 0)]
        tokens: Tensor,
    }
    #[distill(batch = Tokens)]
    struct Output {
        #[role(logits)]
        logits: Tensor,
    }
    let _ = |output: Output| output.logits;
    let batch = |rows: &[i64], length| Tokens { tokens: Tensor::from_slice(rows).view([-1, length]) };
    let short = RowKeys::of::<OutputAdaptor>(&batch(&[5, 6, 7, 8], 2), None).unwrap();
    let long = RowKeys::of::<OutputAdaptor>(&batch(&[5, 6, 0, 7, 8, 0, 5, 0, 0], 3), None).unwrap();
    assert_eq!(short.keys, long.keys[..2]);
    assert_eq!(long.tokens, [2, 2, 1]);
}

#[test]
fn a_lookup_of_a_row_that_is_not_there_names_it() {
    let card = brew_core::cache::Card::default();
    let rows = MemoryCache::new().open("", &card).unwrap();
    let known = RowKey([1; 16]);
    rows.add(&mut std::iter::once((known, Row { tokens: 1, length: 1, parts: Vec::new() }))).unwrap();
    let refused = CachedRows::read(&*rows, &[known, RowKey([0xab; 16])], &mut |_, _| Ok(()));
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("row 1 of the batch, whose key is abababababababababababababababab"),
        "{message}"
    );
}

// 32 rows of 64 tokens and two columns: 64 kB. The limit is far above the measured time, which the test
// prints.
#[test]
fn keys_of_a_batch_cost_microseconds_a_row() {
    let tokens = Tensor::arange(32 * 64, (Kind::Int64, Device::Cpu)).view([32, 64]);
    let batch = TextBatch {
        attention_mask: tokens.ones_like(),
        input_ids: tokens,
        token_type_ids: None,
        labels: None,
    };
    keys(&batch);
    let started = Instant::now();
    for _ in 0..100 {
        keys(&batch);
    }
    let row = started.elapsed().as_secs_f64() / 3200.0;
    eprintln!("a key of a row of 64 tokens: {:.2} microseconds", row * 1e6);
    assert!(row < 200e-6, "{row}");
}
