//! Any batch size, order and number of threads reads the bytes that were written.

use std::time::Instant;

use super::support::{ROW, add, compare, key, open};

#[test]
fn a_store_written_in_batches_of_32_serves_batches_of_8_shuffled_on_four_threads() {
    let folder = tempfile::tempdir().unwrap();
    let written = open(folder.path(), 20_000);
    add(&*written, 0..500, 32);
    written.flush().unwrap();
    let bytes = written.size().bytes;
    drop(written);

    let store = open(folder.path(), 20_000);
    assert_eq!(store.size().rows, 500);
    let order = brew_data::epoch_order(500, 7, 0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, order) = (&store, &order);
            scope.spawn(move || {
                let own = order.chunks(8).skip(thread).step_by(4);
                own.for_each(|batch| compare(&**store, batch));
            });
        }
    });
    // What the rows hold on average: 3 logits, and 4.5 states of 16 numbers.
    let values = 500 * 4 * 3 + (0..500).map(|row| 4 * 16 * (1 + row % 8)).sum::<u64>();
    eprintln!("500 rows: {values} bytes of values, {bytes} bytes on disk, {:.1} a row", bytes as f64 / 500.0);
    assert!(bytes < values + 500 * 120 + 64_000, "{bytes} bytes on disk for {values} of values");
}

#[test]
fn a_lookup_of_a_missing_row_names_it_and_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 20_000);
    add(&*store, 0..10, 10);
    store.flush().unwrap();
    let refused = store.read(&[key(3), key(77)], &mut |_, _| Ok(()));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains(&format!("row 1 of the batch, whose key is {}", key(77))), "{message}");
    assert!(message.contains(&folder.path().display().to_string()), "{message}");
}

#[test]
fn rows_added_twice_by_one_writer_or_two_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(folder.path(), 20_000), open(folder.path(), 20_000));
    add(&*first, 0..60, 20);
    add(&*first, 0..60, 20);
    add(&*second, 30..90, 15);
    first.flush().unwrap();
    second.flush().unwrap();
    first.flush().unwrap();
    assert_eq!(first.size().rows, 90);
    let all: Vec<u32> = (0..90).collect();
    compare(&*first, &all);
    compare(&*open(folder.path(), 20_000), &all);
}

// Prints what reading and writing cost; noisy on a shared machine, so nothing is asserted but that the
// rows are right.
#[test]
fn what_reading_and_writing_cost_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    let started = Instant::now();
    add(&*store, 0..20_000, 32);
    store.flush().unwrap();
    let written = started.elapsed().as_secs_f64();
    let order = brew_data::epoch_order(20_000, 1, 0);
    compare(&*store, &order[..64]);
    let keys: Vec<_> = order.iter().map(|row| key(*row)).collect();
    for pass in ["first", "second"] {
        let started = Instant::now();
        let mut bytes = 0;
        for batch in keys.chunks(32) {
            store
                .read(batch, &mut |_, row| {
                    bytes += row.size();
                    Ok(())
                })
                .unwrap();
        }
        let seconds = started.elapsed().as_secs_f64();
        eprintln!(
            "{pass} read, shuffled: {:.0} rows/s, {:.0} MB/s of values",
            20_000.0 / seconds,
            bytes as f64 / 1e6 / seconds
        );
    }
    eprintln!("write: {:.0} rows/s of up to {ROW} bytes", 20_000.0 / written);
}

#[test]
fn rows_that_wait_for_their_block_are_found_like_those_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1 << 20);
    add(&*store, 0..40, 8);
    assert_eq!(store.size().rows, 0, "a block was written already");
    assert!(store.has(&key(39)) && !store.has(&key(40)));
    compare(&*store, &[7, 39, 0]);
    store.flush().unwrap();
    add(&*store, 40..50, 8);
    compare(&*store, &[45, 7, 49]);
}

#[test]
fn temporary_files_of_others_are_left_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let block = format!(".{}.arrow.17-ThreadId3.tmp", "0f".repeat(32));
    let own = [block.as_str(), ".cache.json.17-ThreadId3.tmp"];
    let others = ["notes.tmp", ".notes.tmp", ".model.safetensors.17-ThreadId3.tmp", ".a.b.c-d.tmp"];
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(24 * 3600);
    for name in own.into_iter().chain(others) {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    open(folder.path(), 20_000);
    for name in others {
        assert!(folder.path().join(name).exists(), "{name} is gone");
    }
    for name in own {
        assert!(!folder.path().join(name).exists(), "{name} was left by a writer that was killed");
    }
}
