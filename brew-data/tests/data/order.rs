//! Every row once an epoch, in an order that seed and epoch alone decide.

use std::sync::Arc;

use arrow::array::{Int64Array, ListArray};
use arrow::datatypes::Int32Type;
use brew_core::batch::{Batch, Batches, Wanted};
use brew_data::{Dataset, epoch_order};
use proptest::prelude::*;

use crate::batches::{Numbered, Ragged, array, epoch, integers, table};

/// Orders found by ChaCha with 8 rounds written in Python (checked against the published key stream
/// of the zero key, 3e00ef2f895f40d67f5bb8e8…), so that runs can be replayed with later versions:
///
/// ```python
/// def order(rows, seed, epoch):
///     words = chacha8_words(key=seed.to_bytes(32, "little"), stream=epoch)  # 32-bit words
///     items = list(range(rows))
///     for last in range(rows - 1, 0, -1):
///         while (product := next(words) * (last + 1)) % 2**32 < 2**32 % (last + 1): pass
///         items[last], items[product >> 32] = items[product >> 32], items[last]
///     return items
/// ```
#[test]
fn orders_are_those_of_chacha8_and_fisher_yates() {
    assert_eq!(epoch_order(10, 7, 0), [5, 9, 8, 4, 0, 2, 3, 7, 6, 1]);
    assert_eq!(epoch_order(10, 7, 1), [7, 6, 3, 2, 4, 0, 9, 5, 8, 1]);
    assert_eq!(epoch_order(10, (1 << 63) + 5, 1 << 40), [9, 1, 0, 2, 7, 5, 8, 6, 3, 4]);
    let long = epoch_order(100_000, 1, 2);
    assert_eq!(long[..5], [57597, 57163, 50478, 28614, 44146]);
    assert_eq!(long[99_995..], [46061, 10984, 81678, 37615, 82790]);
}

/// Rows with an id and a list of some length.
fn ragged(lengths: &[usize]) -> Dataset {
    let lists = lengths.iter().map(|&length| Some((0..length).map(|_| Some(1))));
    table(&[
        ("id", array(Int64Array::from_iter_values(0..lengths.len() as i64))),
        ("input_ids", array(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ])
}

fn ids(batches: &[Ragged]) -> Vec<Vec<i64>> {
    batches.iter().map(|batch| integers(batch.id.as_ref().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_order_is_a_permutation_that_seed_and_epoch_decide(rows in 0..2000_u32, seed: u64, epoch: u64) {
        let order = epoch_order(rows, seed, epoch);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..rows).collect::<Vec<_>>());
        prop_assert_eq!(&order, &epoch_order(rows, seed, epoch));
        if rows > 20 {
            prop_assert_ne!(&order, &epoch_order(rows, seed, epoch.wrapping_add(1)));
            prop_assert_ne!(&order, &epoch_order(rows, seed.wrapping_add(1), epoch));
        }
    }

    #[test]
    fn buckets_cover_each_row_once_in_as_many_batches_as_without(
        lengths in prop::collection::vec(0..30_usize, 1..400),
        size in 1..9_usize,
        seed in prop::option::of(any::<u64>()),
        number in 0..5_u64,
    ) {
        let rows = ragged(&lengths);
        let loader = || {
            let loader = rows.batches::<Ragged>(size).bucketed();
            match seed { Some(seed) => loader.shuffled(seed), None => loader }
        };
        let batches = ids(&epoch(&loader(), number));
        prop_assert_eq!(batches.len(), lengths.len().div_ceil(size));
        prop_assert_eq!(loader().batches_per_epoch(), Some(batches.len()));
        prop_assert_eq!(batches.iter().filter(|batch| batch.len() < size).count(), usize::from(lengths.len() % size != 0));
        let mut seen = batches.concat();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len() as i64).collect::<Vec<_>>());
        prop_assert_eq!(batches, ids(&epoch(&loader(), number)));
    }
}

#[test]
fn a_part_of_an_epoch_has_the_batches_of_the_whole_and_gaps_for_the_others() {
    let lengths: Vec<usize> = (0..230).map(|row| 1 + row * 7 % 19).collect();
    let loader = || ragged(&lengths).batches::<Ragged>(2).shuffled(5).bucketed();
    for loader in [loader(), loader().up_to_tokens(25)] {
        for (from, ranks) in [(0, 2), (3, 2), (0, 3), (3, 3), (500, 2)] {
            let whole: Vec<Ragged> = loader.epoch_from(1, from).unwrap().map(Result::unwrap).collect();
            for rank in 0..ranks {
                let wanted: Wanted = Arc::new(move |number| number % ranks == rank);
                let part: Vec<Option<Ragged>> =
                    loader.epoch_part(1, from, &wanted).unwrap().unwrap().map(Result::unwrap).collect();
                assert_eq!(part.len(), whole.len());
                for ((number, part), whole) in (from..).zip(&part).zip(&whole) {
                    assert_eq!(part.is_some(), wanted(number), "batch {number}");
                    assert!(part.as_ref().is_none_or(|part| part.id == whole.id), "batch {number}");
                }
            }
        }
    }
}

#[test]
fn rows_stay_in_the_order_of_the_file_until_they_are_shuffled() {
    let rows = ragged(&[3, 1, 2, 5, 4]);
    let batches = ids(&epoch(&rows.batches::<Ragged>(2), 3));
    assert_eq!(batches, [vec![0, 1], vec![2, 3], vec![4]]);
    let shuffled = ids(&epoch(&rows.batches::<Ragged>(2).shuffled(7), 3)).concat();
    assert_eq!(shuffled, epoch_order(5, 7, 3).into_iter().map(i64::from).collect::<Vec<_>>());
}

#[test]
fn buckets_hold_rows_of_like_length_and_the_order_of_batches_is_shuffled() {
    let lengths: Vec<usize> = (0..1600).map(|row| row * 7919 % 64).collect();
    let rows = ragged(&lengths);
    let padded = |batches: &[Ragged]| {
        batches.iter().map(|batch| batch.input_ids.as_ref().unwrap().numel()).sum::<usize>()
    };
    let plain = epoch(&rows.batches::<Ragged>(16).shuffled(1), 0);
    let bucketed = epoch(&rows.batches::<Ragged>(16).shuffled(1).bucketed(), 0);
    let tokens = lengths.iter().sum::<usize>();
    assert!(padded(&bucketed) < tokens + tokens / 20, "{} for {tokens} tokens", padded(&bucketed));
    assert!(padded(&plain) > tokens + tokens / 2);
    let longest = |batch: &Ragged| batch.input_ids.as_ref().unwrap().size()[1];
    let widths: Vec<i64> = bucketed.iter().map(longest).collect();
    assert!(!widths.is_sorted());
    assert!(bucketed.iter().all(|batch| batch.rows() == 16));
}

/// The blocks of the documentation: shards of 4096 rows, 256 of them a block.
#[test]
fn blocks_hold_each_row_once_near_rows_of_its_shard() {
    let rows = 2_500_000_usize;
    let numbered = table(&[("id", array(Int64Array::from_iter_values(0..rows as i64)))]);
    let loader = || numbered.batches::<Numbered>(10_000).shuffled_in_blocks(3);
    let order = |number| -> Vec<i64> {
        epoch(&loader(), number).iter().flat_map(|batch| integers(batch.id.as_ref().unwrap())).collect()
    };
    let first = order(0);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..rows as i64));
    assert_ne!(first, order(1));
    // A block's rows come from its 256 shards, and from anywhere in them.
    let block = &first[..(1 << 20) - (1 << 12)];
    let shards: std::collections::BTreeSet<i64> = block.iter().map(|row| row >> 12).collect();
    assert!(shards.len() <= 256, "{}", shards.len());
    let runs = block.windows(2).filter(|pair| pair[1] == pair[0] + 1).count();
    assert!(runs < 20, "{runs} rows follow their neighbour");
    assert!(!shards.iter().eq(&(0..256).collect::<Vec<_>>()));
    // From the middle of the second block on.
    let middle = loader().epoch_from(0, 150).unwrap().next().unwrap().unwrap();
    assert_eq!(integers(&middle.id.unwrap()), &first[1_500_000..1_510_000]);
}

// Prints what a large order costs; noisy on a shared machine, so that nothing but the order is asserted.
#[test]
#[ignore = "it takes seconds and 400 MB, and prints a number"]
fn what_the_order_of_67_million_rows_costs_is_printed() {
    for rows in [1 << 20, 25_510_204, 1 << 26] {
        let started = std::time::Instant::now();
        let order = brew_data::epoch_order(rows, 7, 0);
        eprintln!("{rows} rows: {:.2} s", started.elapsed().as_secs_f64());
        assert_eq!(
            order.iter().map(|row| u64::from(*row)).sum::<u64>(),
            u64::from(rows) * u64::from(rows - 1) / 2
        );
    }
}
