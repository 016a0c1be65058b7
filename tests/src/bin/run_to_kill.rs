//! A short run of the recorded models with everything that changes in a run: dropout, a projection, moments, accumulation.
//! The tests of resuming kill this program and start it again.
//!
//! `run_to_kill FOLDER STEPS PRECISION`, with `f32` or `bf16`; a checkpoint after every optimizer step.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's program fails where a helper does")]

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::schedule::Weight;
use brew_core::train::Precision;
use tests::{Tells, recorded_batches, trajectory};

fn load(folder: &str) -> BertForSequenceClassification {
    BertForSequenceClassification::from_pretrained(trajectory(folder), Device::Cpu).expect("the model loads")
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, steps) = (&arguments[1], arguments[2].parse().unwrap());
    let precision = if arguments[3] == "bf16" { Precision::Bf16 } else { Precision::F32 };
    let pipeline = Distill::new(
        load("teacher").seen_by(ClassifierOutputAdaptor),
        load("student_init").seen_by(ClassifierOutputAdaptor),
    )
    .soft_targets(KdCe::at(4.0).weight(Weight::decaying(1.0)))
    .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(32, 48)))
    .hard_labels(1.0)
    .plan()?;
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-3))
        .schedule(Decay::linear().with_warmup(0.1))
        .precision(precision)
        .clip(1.0)
        .accumulate(2)
        .steps(steps)
        .checkpoint_every_steps(1)
        .keep_checkpoints(3)
        .log_every(1)
        .observe(Tells)
        .run_dir(folder)
        .run(recorded_batches(&trajectory(""), 7))?;
    Ok(())
}
