//! The callback after each checkpoint: what it sees, and that it disturbs nothing.

use std::cell::RefCell;

use brew_core::observe::Predictions;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{Probe, Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, checkpoints, flat, pipeline};

type ToySeen = brew_core::model::Seen<ToyOutputAdaptor>;

#[test]
fn a_callback_sees_the_student_after_each_checkpoint_was_written() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let (steps, mut before) = (RefCell::new(Vec::new()), Vec::new());
    Trainer::new(pipeline)
        .epochs(2)
        .checkpoints_per_epoch(2)
        .run_dir(&path)
        .on_checkpoint(|student: &ToySeen, step| {
            assert!(checkpoints(&path).contains(&step));
            let now = flat(&student.parameters());
            assert_ne!(now, before);
            before = now;
            steps.borrow_mut().push(step);
            Ok(())
        })
        .observe(Seen::default())
        .run(sentences(4, 4, 0))
        .unwrap();
    assert_eq!(*steps.borrow(), [2, 4, 6, 8]);
}

#[test]
fn a_run_continues_after_a_callback_as_if_it_had_not_been_called() {
    let _alone = alone();
    let train = |disturb: bool| {
        let student = Toy::new(1, 6, 1).with_dropout(0.3);
        let (parameters, passes) = (student.parameters(), student.passes.clone());
        let pipeline = Supervised::new(student.seen_by(ToyOutputAdaptor)).plan().unwrap();
        let mut trainer = Trainer::new(pipeline).epochs(3).seed(5).observe(Seen::default());
        if disturb {
            let data = sentences(2, 4, 9);
            trainer = trainer.on_checkpoint(move |student: &ToySeen, _| {
                // Draws numbers, evaluates, and leaves gradients behind.
                let _ = Tensor::rand([100], (Kind::Float, Device::Cpu));
                passes.lock().unwrap().clear();
                Predictions::of(student, &data)?;
                let training = |probe: &Probe| probe.training;
                assert!(
                    !passes.lock().unwrap().iter().any(training),
                    "an evaluation must not drop anything out"
                );
                let (_, first) = student
                    .parameters()
                    .iter()
                    .next()
                    .map(|(name, first)| (name.to_owned(), first.shallow_clone()))
                    .unwrap();
                (first.square().sum(Kind::Double) * 100.0).f_backward()?;
                Ok(())
            });
        }
        trainer.run(sentences(3, 4, 5)).unwrap();
        flat(&parameters)
    };
    assert_eq!(train(true), train(false));
}

#[test]
fn an_error_of_the_callback_ends_the_run_and_leaves_what_was_saved() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let error = Trainer::new(pipeline)
        .epochs(3)
        .run_dir(&path)
        .on_checkpoint(|_: &ToySeen, step| match step {
            4 => Err(Error::invalid("no room for the report")),
            _ => Ok(()),
        })
        .observe(Seen::default())
        .run(sentences(2, 4, 0))
        .unwrap_err();
    assert_eq!(error.to_string(), "the callback after step 4: no room for the report");
    assert_eq!(checkpoints(&path), [2, 4]);
    assert!(path.join("checkpoints/step-4/state.json").is_file());
}
