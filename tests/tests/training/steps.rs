//! Runs of optimizer steps: epoch after epoch, and exactly the requested number of steps.

use brew_core::loss::KdCe;
use brew_core::prelude::*;
use brew_core::schedule::Weight;
use brew_core::semantics::Semantics;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, Stream, flat, pipeline};

#[test]
fn a_run_of_steps_walks_epoch_after_epoch_of_data_of_unknown_length() {
    let _alone = alone();
    let seen = Seen::default();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let data = Stream::new(sentences(5, 4, 0), u64::MAX);
    let walked = data.walked.clone();
    let trained =
        Trainer::new(pipeline).accumulate(2).steps(7).log_every(1).observe(seen.clone()).run(data).unwrap();
    // 14 batches of epochs of 5: the third and the fifth step are of two epochs, and none is shorter.
    assert_eq!(seen.windows(), [2; 7]);
    let epochs: Vec<u64> = seen.batches.borrow().iter().map(|report| report.epoch).collect();
    assert_eq!(epochs, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!((trained.summary().steps, trained.summary().examples), (7, 14 * 4));
    // The rows that are tried first are those that the run begins with: epoch 0 is opened once.
    assert_eq!(*walked.borrow(), [0, 1, 2]);
}

#[test]
fn as_many_steps_as_the_epochs_have_give_the_same_student() {
    let _alone = alone();
    let train = |by_steps: bool| {
        let (pipeline, parameters) = pipeline(Semantics::TextBrewer, 0.3);
        let trainer =
            Trainer::new(pipeline).schedule(Decay::linear().with_warmup(0.2)).observe(Seen::default());
        let trainer = if by_steps { trainer.steps(10) } else { trainer.epochs(2) };
        trainer.run(sentences(5, 4, 0)).unwrap();
        flat(&parameters)
    };
    assert_eq!(train(true), train(false));
}

#[test]
fn learning_rate_and_weights_go_by_the_steps_of_the_run() {
    let _alone = alone();
    let seen = Seen::default();
    let pipeline = Distill::new(
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor),
    )
    .soft_targets(KdCe::at(2.0).weight(Weight::decaying(4.0)))
    .plan()
    .unwrap();
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.1))
        .schedule(Decay::linear().with_warmup(0.0))
        .steps(4)
        .log_every(1)
        .observe(seen.clone())
        .run(Stream::new(sentences(3, 4, 0), u64::MAX))
        .unwrap();
    let steps = seen.steps.borrow();
    for (report, share) in steps.iter().zip([1.0, 0.75, 0.5, 0.25]) {
        assert!((report.learning_rate - 0.1 * share).abs() < 1e-12, "{report:?}");
        let losses = report.losses.as_ref().unwrap();
        assert!((losses[0].1 / losses[1].1 - 4.0 * share).abs() < 1e-9, "{report:?}");
    }
    assert_eq!(steps.len(), 4);
}

// TextBrewer walks an empty or exhausted iterable for ever (its defect 25).
#[test]
fn data_that_give_no_batch_end_the_run_with_an_error_defect_25() {
    let _alone = alone();
    let run = |times| {
        let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
        let data = Stream::new(sentences(3, 4, 0), times);
        Trainer::new(pipeline).steps(7).observe(Seen::default()).run(data).unwrap_err().to_string()
    };
    assert_eq!(run(0), "there is nothing to train on: the data has no rows");
    assert_eq!(
        run(2),
        "epoch 2 of the data yielded no batch, but the run needs more: reduce the number of steps, or give data that can be read repeatedly"
    );
}

#[test]
fn an_evaluation_stands_at_the_checkpoints_of_a_run_of_steps() {
    let _alone = alone();
    let seen = Seen::default();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    Trainer::new(pipeline)
        .steps(5)
        .checkpoint_every_steps(2)
        .evaluate(sentences(1, 4, 0), Accuracy)
        .observe(seen.clone())
        .run(sentences(3, 4, 0))
        .unwrap();
    let at: Vec<u64> = seen.metrics.borrow().iter().map(|(step, _)| *step).collect();
    assert_eq!(at, [2, 4, 5]);
}

/// A socket that has sent 12 batches and stays open: the run takes 7 of them, and ends.
#[test]
fn a_run_ends_while_the_source_of_its_stream_waits_for_more() {
    let (done, ended) = std::sync::mpsc::channel();
    let run = std::thread::spawn(move || {
        let _alone = alone();
        let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
        let socket = brew_data::Stream::new("socket", |_| {
            let (sender, nothing) = std::sync::mpsc::channel();
            let sent = sentences(12, 4, 0).into_iter().map(Ok);
            Ok(sent.chain(std::iter::from_fn(move || {
                let _open = &sender;
                nothing.recv().ok()
            })))
        });
        let trained = Trainer::new(pipeline).steps(7).observe(Seen::default()).run(socket).unwrap();
        done.send(trained.summary().steps).unwrap();
    });
    let steps = ended.recv_timeout(std::time::Duration::from_secs(60));
    assert_eq!(steps, Ok(7), "the run does not return");
    run.join().unwrap();
}
