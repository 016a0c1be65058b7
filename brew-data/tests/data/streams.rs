//! Streams whose length nobody knows: gone on with where they can be opened, else skipped through.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Int64Array, RecordBatch};
use brew_core::batch::{Batch, Batches, Position};
use brew_core::tch::Tensor;
use brew_core::{Error, Result};
use brew_data::Stream;

use crate::batches::{Numbered, array, integers};

/// Record batches of 1, 2, 3, 1, 2, 3 … rows, numbered from `first` on, without an end.
fn rows(first: usize) -> impl Iterator<Item = Result<RecordBatch>> + Send {
    let sizes = (0..).map(|number| number % 3 + 1);
    let starts = sizes.scan(first as i64, |next, size| {
        *next += size;
        Some((*next - size, size))
    });
    starts.map(|(start, size)| {
        let ids = array(Int64Array::from_iter_values(start..start + size));
        RecordBatch::try_from_iter([("id", ids)]).map_err(Error::other)
    })
}

fn ids(batch: Result<Numbered>) -> Vec<i64> {
    integers(&batch.unwrap().id.unwrap())
}

#[test]
fn rows_of_record_batches_of_any_size_are_batched_and_resumed() {
    let opened_at = Arc::new(AtomicUsize::new(usize::MAX));
    let seen = opened_at.clone();
    let anywhere = Stream::<Numbered>::of_rows_from_anywhere("rows", 4, move |_, row| {
        seen.store(row, Ordering::Relaxed);
        Ok(rows(row))
    });
    let skipping = Stream::<Numbered>::of_rows("rows", 4, |_| Ok(rows(0)));
    for stream in [&anywhere, &skipping] {
        assert_eq!(
            (stream.batches_per_epoch(), stream.rows(), stream.batches_in(0).unwrap()),
            (None, None, None)
        );
        let mut walk = Position::start(stream).unwrap().walk(stream).unwrap();
        let whole: Vec<_> = walk.by_ref().take(50).map(ids).collect();
        assert_eq!(whole.concat(), (0..200).collect::<Vec<_>>());
        assert!(whole.iter().all(|batch| batch.len() == 4));
        let state = walk.state().clone();
        assert_eq!(state.batch, 50);
        drop(walk);
        let next = state.walk(stream).unwrap().next().unwrap();
        assert_eq!(ids(next), [200, 201, 202, 203]);
    }
    assert_eq!(opened_at.load(Ordering::Relaxed), 200);
}

#[test]
fn a_stream_that_ends_gives_its_last_rows_and_one_that_fails_its_error() {
    let finite = Stream::<Numbered>::of_rows("rows", 4, |epoch| Ok(rows(epoch as usize * 100).take(3)));
    assert_eq!(
        finite.epoch(2).unwrap().map(ids).collect::<Vec<_>>(),
        [vec![200, 201, 202, 203], vec![204, 205]]
    );
    assert_eq!(finite.epoch_from(0, 9).unwrap().count(), 0);

    let failing = Stream::<Numbered>::of_rows("rows", 4, |_| {
        Ok(rows(0).take(3).chain([Err(Error::invalid("the line went dead"))]).chain(rows(6)))
    });
    let outcomes: Vec<_> = failing.epoch(0).unwrap().collect();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1].as_ref().unwrap_err().to_string(), "the line went dead");

    let panicking = Stream::new("numbers", |_| {
        Ok((0..10_i64).map(|number| {
            assert!(number < 3, "no more numbers");
            Ok((Tensor::from_slice(&[number]),))
        }))
    });
    let outcomes: Vec<_> = panicking.epoch_from(0, 1).unwrap().collect();
    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[0].as_ref().unwrap().rows(), 1);
    assert_eq!(
        outcomes[2].as_ref().unwrap_err().to_string(),
        "numbers: batch 3 of the stream could not be made: panic: no more numbers"
    );
    assert_eq!(
        Stream::<Numbered>::of_rows("rows", 0, |_| Ok(rows(0)))
            .epoch(0)
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err()
            .to_string(),
        "batches of 0 rows: ask for 1 or more"
    );
}

#[test]
fn another_stream_is_not_resumed() {
    let of = |name: &str, size| Stream::<Numbered>::of_rows(name, size, |_| Ok(rows(0)));
    let position = Position::start(&of("rows", 4)).unwrap();
    assert_eq!(
        position.walk(&of("other", 8)).unwrap_err().to_string(),
        "the run cannot resume: the data or its settings have changed: batch size: 4 then, 8 now; \
         stream: rows then, other now; give it the same data and settings, or start a new run"
    );
}

/// A source that gives `numbers` and then waits for ever, as a socket does that stays open.
fn waiting(numbers: i64) -> Stream<(Tensor,)> {
    Stream::new("socket", move |_| {
        let (sender, nothing) = std::sync::mpsc::channel::<i64>();
        let given = (0..numbers).chain(std::iter::from_fn(move || {
            let _open = &sender;
            nothing.recv().ok()
        }));
        Ok(given.map(|number| Ok((Tensor::from_slice(&[number]),))))
    })
}

/// What `work` returns, if it returns within some seconds.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    done.recv_timeout(std::time::Duration::from_secs(5)).ok()
}

#[test]
fn a_stream_whose_source_waits_for_ever_is_dropped_at_once() {
    for taken in [0, 1, 10] {
        let dropped = in_time(move || {
            let stream = waiting(10);
            let mut batches = stream.epoch(0).unwrap();
            let taken = batches.by_ref().take(taken).filter(Result::is_ok).count();
            // The thread is in the source's `next` by now.
            std::thread::sleep(std::time::Duration::from_millis(20));
            drop(batches);
            taken
        });
        assert_eq!(dropped, Some(taken));
    }
}

#[test]
fn a_source_that_answers_after_the_stream_was_dropped_ends_and_is_dropped() {
    struct Dropped(std::sync::mpsc::Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }
    let (answer, answers) = std::sync::mpsc::channel::<i64>();
    let (told, events) = std::sync::mpsc::channel();
    let source = std::sync::Mutex::new(Some((answers, Dropped(told))));
    let stream = Stream::new("socket", move |_| {
        let (answers, dropped) = source.lock().unwrap().take().unwrap();
        Ok(std::iter::from_fn(move || {
            let _kept = &dropped;
            answers.recv().ok().map(|number| Ok((Tensor::from_slice(&[number]),)))
        }))
    });
    let batches = stream.epoch(0).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(batches);
    assert!(events.try_recv().is_err());
    answer.send(1).unwrap();
    assert_eq!(events.recv_timeout(std::time::Duration::from_secs(5)), Ok("dropped"));
}

#[test]
fn record_batches_of_other_columns_are_not_joined_by_their_places() {
    let batch = |names: [&str; 2]| {
        let columns = names.map(|name| (name, array(Int64Array::from(vec![name.len() as i64]))));
        RecordBatch::try_from_iter(columns).map_err(Error::other)
    };
    let swapped = Stream::<Numbered>::of_rows("rows", 2, move |_| {
        Ok([batch(["id", "other"]), batch(["other", "id"])].into_iter())
    });
    let error = swapped.epoch(0).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("rows: a record batch whose columns differ from the one before, "), "{error}");
    // Batches of their own are read by name, whatever the order.
    let apart = Stream::<Numbered>::of_rows("rows", 1, move |_| {
        Ok([batch(["id", "other"]), batch(["other", "id"])].into_iter())
    });
    assert_eq!(apart.epoch(0).unwrap().map(ids).collect::<Vec<_>>(), [[2], [2]]);
}

#[test]
fn a_batch_that_is_there_does_not_wait_for_the_next_one() {
    let (sender, numbers) = std::sync::mpsc::channel::<i64>();
    let numbers = std::sync::Mutex::new(Some(numbers));
    let stream = Stream::new("numbers", move |_| {
        let numbers = numbers.lock().unwrap().take().unwrap();
        Ok(numbers.into_iter().map(|number| Ok((Tensor::from_slice(&[number]),))))
    });
    let mut batches = stream.epoch(0).unwrap();
    for number in 0..3 {
        // The thread is asking for the next number by now, and there is none until this one is taken.
        sender.send(number).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(batches.next().unwrap().unwrap().0, Tensor::from_slice(&[number]));
    }
    drop(sender);
    assert!(batches.next().is_none());
}
