//! Consecutive runs: nothing of one affects the next, and teachers never train.

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, flat, pipeline};

const DECAYING: &str = r#"{"temperature": 2, "kd_loss_weight": 5, "kd_loss_weight_scheduler": "linear_decay",
    "hard_label_weight": 0, "hard_label_weight_scheduler": "linear_growth", "is_caching_logits": true,
    "intermediate_matches": [{"layer_T": 2, "layer_S": 1, "feature": "hidden", "loss": "hidden_mse",
        "weight": 1, "proj": ["linear", 6, 8]}]}"#;

/// A run of these configs on a fresh student: its losses, and what it learned.
fn run(train: &TrainingConfig, distill: &DistillationConfig) -> (Vec<Vec<(String, f64)>>, Vec<f64>) {
    let seen = Seen::default();
    let student = Toy::new(1, 6, 1);
    let parameters = student.parameters();
    let trainer = GeneralDistiller::new(
        train,
        distill,
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        student.seen_by(ToyOutputAdaptor),
    )
    .trainer()
    .unwrap();
    let trained = trainer.epochs(2).log_every(1).observe(seen.clone()).run(sentences(3, 4, 0)).unwrap();
    assert_eq!((trained.summary().steps, trained.summary().examples), (6, 24));
    let losses = seen.steps.borrow().iter().map(|report| report.losses.clone().unwrap()).collect();
    (losses, flat(&parameters))
}

// TextBrewer's schedules overwrite the config (its defect 19), and its cache of logits is never cleared: a
// second run sees every batch twice (its defect 26).
#[test]
fn the_same_configs_give_the_same_run_twice_defects_19_and_26() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let train = TrainingConfig {
        output_dir: folder.path().join("run").to_str().unwrap().to_owned(),
        ..TrainingConfig::default()
    };
    let distill = DistillationConfig::from_json(DECAYING).unwrap();
    let (train_before, distill_before) = (train.clone(), distill.clone());
    let first = run(&train, &distill);
    assert_eq!((&train, &distill), (&train_before, &distill_before));
    assert_eq!(run(&train, &distill), first);
    // The configured weight holds in the first step, then the schedule's value: TextBrewer's 5, 5/6, 4/6, …
    let losses = &first.0[0];
    assert!((losses[0].1 - 5.0 * losses[1].1 - losses[2].1).abs() < 1e-6, "{losses:?}");
    // The first run's folder was moved aside, not written over.
    assert!(folder.path().join("run.1/config.json").is_file());
}

// Its second `train()` with the same optimizer fails: the projections are in it already (its defect 18).
#[test]
fn a_trained_student_can_be_trained_again_with_its_projections_defect_18() {
    let _alone = alone();
    let train = |student: brew_core::model::Seen<ToyOutputAdaptor>, projections: Option<&Parameters>| {
        let pipeline = Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student)
            .matching(
                hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)),
            )
            .plan()
            .unwrap();
        let mut trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).observe(Seen::default());
        if let Some(projections) = projections {
            let named = projections.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
            trainer = trainer.projections(named);
        }
        trainer.run(sentences(3, 4, 0)).unwrap()
    };
    let first = train(Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor), None);
    let (student, projections) = (flat(&first.student().parameters()), flat(first.projections()));
    let learned = Parameters::new(
        first.projections().iter().map(|(name, tensor)| (name.to_owned(), tensor.detach().copy())),
    );
    let second = train(first.into_student(), Some(&learned));
    assert_ne!(flat(&second.student().parameters()), student);
    assert_ne!(flat(second.projections()), projections);
    assert_eq!(second.summary().steps, 3);
}

// AdamW's first step is lr * g / (|g| + epsilon); with an epsilon of 1 it is below lr * |g|, and the norm
// of all clipped gradients is at most 0.001. TextBrewer clips the student alone (its defect 18).
#[test]
fn projections_are_clipped_with_the_student_in_exact_semantics_defect_18() {
    let _alone = alone();
    let moved = |semantics| {
        let run = |steps_off: f64| {
            let (pipeline, _) = pipeline(semantics, 0.0);
            let optimizer = AdamW::with_lr(steps_off).epsilon(1.0).weight_decay(0.0);
            let trainer = Trainer::new(pipeline).optimizer(optimizer).clip(1e-3).observe(Seen::default());
            flat(trainer.run(sentences(1, 4, 0)).unwrap().projections())
        };
        let (still, moved) = (run(0.0), run(1.0));
        still.iter().zip(moved).map(|(still, moved)| (still - moved).powi(2)).sum::<f64>().sqrt()
    };
    let (exact, textbrewer) = (moved(Semantics::Exact), moved(Semantics::TextBrewer));
    assert!(exact > 0.0 && exact <= 1.001e-3, "{exact}");
    assert!(textbrewer > 5e-3, "{textbrewer}");
}

// Without its `with` block TextBrewer leaves a teacher as it finds it, dropout and all (its defect 20).
#[test]
fn a_teacher_never_drops_out_without_being_asked_defect_20() {
    let _alone = alone();
    let teacher = Toy::new(2, 8, 0).with_dropout(0.5);
    let student = Toy::new(1, 8, 1).with_dropout(0.5);
    let (of_teacher, of_student) = (teacher.passes.clone(), student.passes.clone());
    let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
    Trainer::new(pipeline).steps(4).observe(Seen::default()).run(sentences(2, 4, 0)).unwrap();
    // Four steps, two rows, and those that hold the extremes of the data.
    assert_eq!(of_teacher.lock().unwrap().len(), 5 + sentences(2, 4, 0).extremes().unwrap().len());
    assert!(of_teacher.lock().unwrap().iter().all(|probe| !probe.training));
    assert_eq!(of_student.lock().unwrap().iter().filter(|probe| probe.training).count(), 4);
}

// TextBrewer reads every loss of every batch from the device (its defect 24).
#[test]
fn losses_are_read_on_steps_that_are_logged_alone_defect_24() {
    let _alone = alone();
    let seen = Seen::default();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    Trainer::new(pipeline).steps(8).log_every(3).observe(seen.clone()).run(sentences(3, 4, 0)).unwrap();
    let logged: Vec<u64> = seen
        .steps
        .borrow()
        .iter()
        .filter(|report| report.losses.is_some())
        .map(|report| report.step)
        .collect();
    // Every third step, and the last.
    assert_eq!(logged, [1, 4, 7, 8]);
    let read: Vec<u64> = seen.batches.borrow().iter().map(|report| report.step).collect();
    assert_eq!(read, logged);
}
