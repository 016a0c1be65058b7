//! The rows that a run tries before its first step: those with the smallest and largest integers and with the
//! longest list.

use brew_core::batch::Batches as _;
use brew_core::prelude::*;
use brew_data::TooLong;
use brew_data::prelude::*;

/// A file of these lines, opened.
fn jsonl(lines: &str) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, lines).unwrap();
    let dataset = Dataset::open(&path).unwrap();
    (folder, dataset)
}

#[derive(Batch, Debug)]
struct Row {
    #[column(i64, pad = 0)]
    ids: Tensor, // (rows, longest)
    #[column(i64)]
    labels: Option<Tensor>, // (rows,)
    #[column(f32)]
    score: Tensor, // (rows,)
}

const ROWS: &str = "\
{\"ids\": [3, 4], \"labels\": 1, \"score\": 9.5}
{\"ids\": [4, 900, 4], \"labels\": -100, \"score\": -9}
{\"ids\": [], \"labels\": 0, \"score\": 0}
{\"ids\": [5, 5, 5, 5], \"labels\": 1, \"score\": 0}
{\"ids\": [-2], \"labels\": 7, \"score\": 0}
";

fn found(dataset: &Dataset) -> Vec<String> {
    let extremes = dataset.batches::<Row>(2).shuffled(3).extremes().unwrap();
    extremes.iter().map(|extreme| extreme.row.rsplit('/').next().unwrap().to_owned()).collect()
}

// By hand.
#[test]
fn the_rows_with_the_smallest_and_largest_integers_and_the_longest_list_are_found_by_file_and_row() {
    let (_folder, dataset) = jsonl(ROWS);
    assert_eq!(
        found(&dataset),
        [
            "rows.jsonl, row 1: the largest `ids`, 900; `labels` has -100",
            "rows.jsonl, row 2: the smallest `labels`, 0",
            "rows.jsonl, row 3: the longest list, 4 values of `ids`",
            "rows.jsonl, row 4: the smallest `ids`, -2; the largest `labels`, 7",
        ]
    );
    let extremes = dataset.batches::<Row>(2).extremes().unwrap();
    assert_eq!(extremes[0].batch.ids, Tensor::from_slice2(&[[4_i64, 900, 4], [4, 900, 4]]));
    assert_eq!(extremes[0].batch.labels, Some(Tensor::from_slice(&[-100_i64, -100])));
    // An empty list is padded by another row, as in any batch.
    assert_eq!(extremes[1].batch.ids, Tensor::from_slice2(&[[0_i64, 0, 0, 0], [5, 5, 5, 5]]));
}

// Row 4 is not in use, row 1 is the first; of what is cut off nothing is seen.
#[test]
fn only_rows_in_use_and_what_is_left_of_cut_lists_count() {
    let (_folder, dataset) = jsonl(ROWS);
    let selected = dataset.select(&[1, 3, 0]).unwrap().limited_to(1, TooLong::Cut);
    assert_eq!(
        found(&selected),
        [
            "rows.jsonl, row 1: `labels` has -100; the longest list, 1 values of `ids`",
            "rows.jsonl, row 3: the largest `ids`, 5; the smallest `labels`, 1; the largest `labels`, 1",
            "rows.jsonl, row 0: the smallest `ids`, 3",
        ]
    );
}

#[test]
fn what_a_stream_is_put_through_is_put_over_its_extremes_too() {
    let (_folder, dataset) = jsonl(ROWS);
    let halved = dataset.batches::<Row>(2).processed(|row| {
        row.map(&mut |name, tensor| {
            Ok(if name == "ids" { tensor.f_clamp(0, 50)? } else { tensor.shallow_clone() })
        })
    });
    let extremes = halved.extremes().unwrap();
    assert_eq!(extremes[0].batch.ids, Tensor::from_slice2(&[[4_i64, 50, 4], [4, 50, 4]]));
}
