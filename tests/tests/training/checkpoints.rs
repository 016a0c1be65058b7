//! Checkpoints: on TextBrewer's steps, complete, and harmless to the run.

use std::cell::RefCell;
use std::rc::Rc;

use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, checkpoints, flat, pipeline, stored};

enum Run {
    Epochs(u64),
    Steps(u64),
}

/// The checkpoints of a run over 5 batches that TextBrewer's configs describe.
fn of_config(config: TrainingConfig, run: &Run) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let config = TrainingConfig { output_dir: path.to_str().unwrap().to_owned(), ..config };
    let trainer = GeneralDistiller::new(
        &config,
        &DistillationConfig::default(),
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor),
    )
    .trainer()
    .unwrap()
    .observe(Seen::default());
    let trainer = match run {
        Run::Epochs(epochs) => trainer.epochs(*epochs),
        Run::Steps(steps) => trainer.steps(*steps),
    };
    trainer.run(sentences(5, 4, 0)).unwrap();
    checkpoints(&path)
}

// What TextBrewer at commit 2c105fa saved (`gs1.pkl`, …) in runs of its distillers over 5 batches. With 2
// steps and `ckpt_steps` 3 its MultiTaskDistiller fails (its defect 9).
#[test]
fn checkpoints_are_on_textbrewers_steps_defect_9() {
    let _alone = alone();
    let frequency = |ckpt_frequency, ckpt_epoch_frequency| TrainingConfig {
        ckpt_frequency,
        ckpt_epoch_frequency,
        ..TrainingConfig::default()
    };
    assert_eq!(of_config(frequency(1, 1), &Run::Epochs(2)), [5, 10]);
    assert_eq!(of_config(frequency(2, 1), &Run::Epochs(2)), [2, 5, 7, 10]);
    assert_eq!(of_config(frequency(3, 1), &Run::Epochs(2)), [1, 3, 5, 6, 8, 10]);
    assert_eq!(of_config(frequency(1, 2), &Run::Epochs(3)), [10, 15]);
    let every_three = || TrainingConfig { ckpt_steps: Some(3), ..TrainingConfig::default() };
    assert_eq!(of_config(every_three(), &Run::Steps(7)), [3, 6, 7]);
    assert_eq!(of_config(every_three(), &Run::Steps(2)), [2]);
    // It has no default for `ckpt_steps`, and fails without.
    assert_eq!(of_config(TrainingConfig::default(), &Run::Steps(2)), [2]);
}

#[test]
fn accumulation_that_leaves_a_rest_counts_the_shorter_steps_too() {
    let _alone = alone();
    let config =
        TrainingConfig { gradient_accumulation_steps: 2, ckpt_frequency: 2, ..TrainingConfig::default() };
    // Three steps an epoch, of 2, 2 and 1 batches.
    assert_eq!(of_config(config, &Run::Epochs(2)), [1, 3, 4, 6]);
}

#[test]
fn a_checkpoint_holds_student_projections_and_where_the_run_stands_defect_18() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (pipeline, parameters) = pipeline(Semantics::Exact, 0.0);
    let then = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&then);
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.01))
        .accumulate(2)
        .steps(3)
        .checkpoint_every_steps(2)
        .on_checkpoint(|student: &ToySeen, _| {
            kept.borrow_mut().push(flat(&student.parameters()));
            Ok(())
        })
        .run_dir(&path)
        .observe(Seen::default())
        .run(sentences(3, 4, 0))
        .unwrap();
    assert_eq!(checkpoints(&path), [2, 3]);
    let files = |step: u64| {
        let folder = std::fs::read_dir(path.join(format!("checkpoints/step-{step}"))).unwrap();
        let mut names: Vec<_> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(
        files(2),
        [
            "optimizer.safetensors",
            "outputs.safetensors",
            "projections.safetensors",
            "state.json",
            "student.safetensors"
        ]
    );
    for (step, then) in [2, 3].into_iter().zip(then.borrow().iter()) {
        let student = stored(&path.join(format!("checkpoints/step-{step}/student.safetensors")));
        assert_eq!(student.values().flat_map(|(_, numbers)| numbers.clone()).collect::<Vec<_>>(), *then);
        assert!(student.values().all(|(dtype, _)| dtype == "F64"), "a toy is float64");
    }
    assert_eq!(*then.borrow().last().unwrap(), flat(&parameters));
    // TextBrewer throws projections away (its defect 18).
    let learned = stored(&path.join("checkpoints/step-3/projections.safetensors"));
    let learned: Vec<f64> = learned.values().flat_map(|(_, numbers)| numbers.clone()).collect();
    let mut expected: Vec<(&str, &Tensor)> = trained.projections().iter().collect();
    expected.sort_by_key(|(name, _)| *name);
    assert_eq!(learned, flat(trained.projections()));
    assert_eq!(expected.len(), 2);
    let earlier = stored(&path.join("checkpoints/step-2/projections.safetensors"));
    assert_ne!(earlier.values().flat_map(|(_, numbers)| numbers.clone()).collect::<Vec<_>>(), learned);
    let state = std::fs::read_to_string(path.join("checkpoints/step-2/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let state = &state["state"];
    assert_eq!((&state["step"], &state["steps"]), (&2.into(), &3.into()));
    assert_eq!((&state["batches"], &state["examples"]), (&4.into(), &16.into()));
    assert_eq!(state["data"][0]["position"]["epoch"], 1);
    assert_eq!(state["data"][0]["position"]["batch"], 1);
}

type ToySeen = brew_core::model::Seen<ToyOutputAdaptor>;

#[test]
fn a_checkpoint_that_cannot_be_written_is_a_warning_and_the_run_continues() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("checkpoints"), "a file where the folder should be").unwrap();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let seen = Seen::default();
    let trained = Trainer::new(pipeline)
        .epochs(2)
        .run_dir(&path)
        .observe(seen.clone())
        .run(sentences(2, 4, 0))
        .unwrap();
    assert_eq!(trained.summary().steps, 4);
    let warnings = seen.warnings.borrow();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("could not write the checkpoint of step 2: "), "{warnings:?}");
    assert!(warnings[1].starts_with("could not write the checkpoint of step 4: "), "{warnings:?}");
    assert!(path.join("student").is_dir());
}

#[test]
fn settings_for_the_other_kind_of_run_are_a_warning() {
    let _alone = alone();
    let seen = Seen::default();
    let (first, _) = pipeline(Semantics::Exact, 0.0);
    let by_epochs = Trainer::new(first).checkpoint_every_steps(2).observe(seen.clone());
    by_epochs.run(sentences(1, 4, 0)).unwrap();
    let (second, _) = pipeline(Semantics::Exact, 0.0);
    let by_steps = Trainer::new(second).checkpoints_per_epoch(2).steps(1).observe(seen.clone());
    by_steps.run(sentences(1, 4, 0)).unwrap();
    assert_eq!(
        *seen.warnings.borrow(),
        [
            "this is a run of epochs: `.checkpoint_every_steps(…)` only works in a run of `.steps(…)`",
            "this is a run of steps: it only writes the checkpoints of `.checkpoint_every_steps(…)` and of the last step"
        ]
    );
}
