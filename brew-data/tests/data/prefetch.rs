//! The thread that works ahead: in order, seen off early, and never silent about how it ended.

use arrow::array::{Int64Array, RecordBatch};
use brew_core::batch::Batches;
use brew_data::Dataset;

use crate::batches::{Failing, Numbered, array, epoch, integers, table};

fn numbered(rows: i64) -> Dataset {
    table(&[("id", array(Int64Array::from_iter_values(0..rows)))])
}

#[test]
fn batches_are_the_same_however_the_consumer_dawdles_or_the_file_is_cut() {
    let whole = numbered(1000);
    let chunks = (0..1000).step_by(7).map(|start| {
        let ids = Int64Array::from_iter_values(start..1000.min(start + 7));
        RecordBatch::try_from_iter([("id", array(ids))]).unwrap()
    });
    let pieces = Dataset::from_record_batches("pieces", chunks.collect()).unwrap();
    let quick = epoch(&whole.batches::<Numbered>(16).shuffled(3), 1);
    let loader = pieces.batches::<Numbered>(16).shuffled(3);
    let slow = loader.epoch(1).unwrap().map(|batch| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        batch.unwrap()
    });
    let ids = |batch: &Numbered| integers(batch.id.as_ref().unwrap());
    let slow: Vec<_> = slow.map(|batch| ids(&batch)).collect();
    assert_eq!(slow, quick.iter().map(ids).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_the_thread_arrives_after_the_batches_before_it_with_file_and_row() {
    let rows = numbered(100);
    let loader = rows.batches::<Failing<37, true>>(10);
    let mut batches = loader.epoch(0).unwrap();
    for _ in 0..3 {
        batches.next().unwrap().unwrap();
    }
    let message = batches.next().unwrap().unwrap_err().to_string();
    assert_eq!(
        message,
        "table, batch 3 of the epoch, from row 30 of the file: \
         the batch could not be made: panic: row 37 is cursed"
    );
    assert!(batches.next().is_none());
}

#[test]
fn an_error_in_the_thread_arrives_once_and_ends_the_epoch() {
    let rows = numbered(100).select(&(50..100).collect::<Vec<_>>()).unwrap();
    let loader = rows.batches::<Failing<71, false>>(10);
    let outcomes: Vec<_> = loader.epoch(0).unwrap().collect();
    assert_eq!(outcomes.len(), 3);
    assert_eq!(
        outcomes[2].as_ref().unwrap_err().to_string(),
        "table, batch 2 of the epoch, from row 70 of the file: this row is not liked"
    );
}

#[test]
fn an_iterator_dropped_early_takes_its_thread_with_it() {
    let rows = numbered(100_000);
    let loader = rows.batches::<Numbered>(1);
    for _ in 0..50 {
        let mut batches = loader.epoch(0).unwrap();
        batches.next().unwrap().unwrap();
    }
    let status = std::fs::read_dir("/proc/self/task").unwrap();
    let names = status.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let running = names.filter(|name| name.trim() == "brew-prefetch").count();
    // Other tests of this process run a few of their own at the same time.
    assert!(running < 25, "{running} threads are left");
}
