//! Runs of epochs: what is left at an epoch's end is a shorter window.

use std::collections::BTreeMap;

use brew_core::batch::Walk;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{Sentence, alone, sentences};

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

/// Epochs of so many batches each, which says this of them.
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
