//! Runs of epochs: the rest at an epoch's end is a shorter window.

use std::collections::BTreeMap;

use brew_core::batch::Walk;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionMse, Cwd, Dkd, HiddenMse, KdCe};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::schedule::Weight;
use brew_core::semantics::Semantics;
use brew_core::train::Sgd;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, Stream, flat, pipeline};

// TextBrewer drops the fifth batch here: two steps an epoch, both of two batches (its defect 17).
#[test]
fn the_batches_left_at_the_end_of_an_epoch_make_a_shorter_step_defect_17() {
    let _alone = alone();
    let seen = Seen::default();
    let (pipeline, _) = pipeline(Semantics::TextBrewer, 0.0);
    let trained = Trainer::new(pipeline)
        .accumulate(2)
        .epochs(2)
        .log_every(1)
        .observe(seen.clone())
        .run(sentences(5, 4, 0))
        .unwrap();
    assert_eq!(seen.windows(), [2, 2, 1, 2, 2, 1]);
    assert_eq!((trained.summary().steps, trained.summary().examples), (6, 2 * 5 * 4));
}

// TextBrewer takes no step at all here, and says nothing (its defect 17).
#[test]
fn accumulating_more_batches_than_there_are_still_trains_defect_17() {
    let _alone = alone();
    let (pipeline, parameters) = pipeline(Semantics::TextBrewer, 0.0);
    let before = flat(&parameters);
    let trained =
        Trainer::new(pipeline).accumulate(8).observe(Seen::default()).run(sentences(5, 4, 0)).unwrap();
    assert_eq!(trained.summary().steps, 1);
    assert_ne!(flat(&parameters), before);
}

/// Rows of a batch.
fn part(rows: &Sentence, first: i64, count: i64) -> Sentence {
    let cut = rows.map(&mut |_, tensor| Ok(tensor.narrow(0, first, count))).unwrap();
    // The same tensors laid out otherwise: every second value of a larger one.
    cut.map(&mut |_, tensor| Ok(Tensor::stack(&[tensor, &tensor.neg()], -1).select(-1, 0))).unwrap()
}

// Both windows have batches of several sizes, the last one fewer of them, and rows without a label, one batch
// of them alone.
#[test]
fn windows_of_uneven_batches_train_as_their_rows_in_one_batch() {
    let _alone = alone();
    let rows = sentences(1, 12, 3).remove(0);
    let labels = rows.labels.as_ref().unwrap().index_fill(0, &Tensor::from_slice(&[1_i64, 9, 10, 11]), -100);
    let mask = rows.mask.index_fill(0, &Tensor::from_slice(&[2_i64, 9]), 0);
    let rows = Sentence { labels: Some(labels), mask, ..rows };
    let train = |cuts: &[(i64, i64)], accumulate: usize, scheduled: bool| {
        let student = Toy::new(1, 6, 1);
        let parameters = student.parameters();
        let hard = if scheduled { Weight::decaying(0.7) } else { 0.7.into() };
        let sides = (Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
        let layer = || hidden(teacher_layer(2), student_layer(1));
        let pipeline = Distill::new(sides.0, sides.1)
            .soft_targets(KdCe::at(2.0))
            .soft_targets(Dkd::at(2.0).weight(0.25))
            .matching([layer().by(HiddenMse).project(Projection::linear(6, 8).shared("one"))])
            .matching([layer().by(Cwd::at(2.0)).project(Projection::linear(6, 8).shared("one"))])
            .matching([attention(teacher_layer(1), student_layer(0)).by(AttentionMse::probabilities())])
            .hard_labels(hard)
            .plan()
            .unwrap();
        let batches: Vec<Sentence> = cuts.iter().map(|(first, count)| part(&rows, *first, *count)).collect();
        let trained = Trainer::new(pipeline)
            .optimizer(Sgd::with_lr(0.3).momentum(0.5))
            .clip(0.8)
            .accumulate(accumulate)
            .epochs(2)
            .observe(Seen::default())
            .run(batches)
            .unwrap();
        (trained.summary().steps, flat(&parameters), flat(trained.projections()))
    };
    for scheduled in [false, true] {
        let (steps, student, projections) = train(&[(0, 9), (9, 3)], 1, scheduled);
        let (same, windows, of_windows) = train(&[(0, 5), (5, 1), (6, 3), (9, 2), (11, 1)], 3, scheduled);
        assert_eq!((steps, same), (4, 4));
        for (found, expected) in [(windows, student), (of_windows, projections)] {
            let off = found.iter().zip(&expected).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
            assert!(off < 1e-12, "the weights differ by {off}");
        }
    }
}

#[test]
fn data_of_unknown_length_cannot_make_a_run_of_epochs() {
    let _alone = alone();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let error = Trainer::new(pipeline)
        .observe(Seen::default())
        .run(Stream::new(sentences(2, 4, 0), 9))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "a run of epochs needs data of known length: use `.steps(…)` instead of `.epochs(…)`");
}

/// Epochs with this many batches, and what is said about their number.
struct Uneven {
    batches: Vec<Sentence>,
    gives: BTreeMap<u64, usize>,
    says: BTreeMap<u64, usize>,
}

impl Batches for Uneven {
    type Batch = Sentence;
    fn batches_per_epoch(&self) -> Option<usize> {
        None
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn batches_in(&self, epoch: u64) -> Result<Option<usize>> {
        Ok(self.says.get(&epoch).copied())
    }
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Sentence>> {
        Ok(Box::new(self.batches.epoch(epoch)?.take(self.gives[&epoch])))
    }
}

fn uneven(gives: [usize; 2], says: [usize; 2]) -> Uneven {
    let by_epoch = |numbers: [usize; 2]| (0..).zip(numbers).collect();
    Uneven { batches: sentences(6, 4, 0), gives: by_epoch(gives), says: by_epoch(says) }
}

#[test]
fn epochs_of_different_lengths_each_end_with_their_own_step() {
    let _alone = alone();
    let seen = Seen::default();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let trained = Trainer::new(pipeline)
        .accumulate(2)
        .epochs(2)
        .log_every(1)
        .evaluate(sentences(1, 4, 0), Accuracy)
        .observe(seen.clone())
        .run(uneven([5, 2], [5, 2]))
        .unwrap();
    assert_eq!(seen.windows(), [2, 2, 1, 2]);
    assert_eq!(seen.metrics.borrow().iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(trained.summary().evaluations.len(), 2);
}

#[test]
fn data_that_are_not_as_long_as_they_said_are_refused() {
    let _alone = alone();
    let run = |gives, says| {
        let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
        let trainer = Trainer::new(pipeline).epochs(2).observe(Seen::default());
        trainer.run(uneven(gives, says)).unwrap_err().to_string()
    };
    assert_eq!(
        run([3, 2], [3, 4]),
        "epoch 1 of the data ended after 2 batches but reported 4: a run of epochs needs data of known length that can be read repeatedly"
    );
    assert_eq!(run([4, 2], [3, 2]), "epoch 0 of the data has more than the 3 batches that it reported");
}
