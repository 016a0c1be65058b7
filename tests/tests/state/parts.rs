//! A row for each part that has state, or that depends only on the step and so must not need any.

use std::path::Path;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{KdCe, Taid, Vid, standardised};
use brew_core::prelude::*;
use brew_core::schedule::{Cwsm, Flsw};
use brew_core::schedule::{OneCycle, Schedule};
use brew_core::train::{Adafactor, Adam, Lion, NotFinite, Optimizer, Sgd};

use super::pipelines::{
    ToyPipeline, augmented, balanced, bert, contrast, data, loader, matching, plain, tasks, texts, with,
};
use super::run::in_folder;

/// A part, and a run in which it changes.
pub(crate) struct Part {
    /// What it is; for a loss, the name starts with the loss's name.
    pub(crate) name: &'static str,
    /// The source file that holds its state.
    pub(crate) file: &'static str,
    /// What a checkpoint contains of it: names of tensors, or keys of `state.json`. Each must differ between the first
    /// and the last step, or be [`FIXED`].
    pub(crate) kept: &'static [&'static str],
    /// Runs in a folder, and stops after this many steps.
    pub(crate) run: fn(&Path, Option<u64>) -> Result<()>,
}

impl Part {
    /// Whether what the sources say of its file, such as `Optimizer for Adam`, is said of this part.
    pub(crate) fn covers(&self, what: &str) -> bool {
        match what.rsplit_once(" for ") {
            // Of a type that a macro names, or that hands on to another, any row of its file will do.
            Some((_, of)) if of.chars().all(char::is_alphanumeric) => {
                self.name.split(' ').any(|word| word == of)
            }
            _ => true,
        }
    }
}

fn toy(folder: &Path, stop: Option<u64>, pipeline: ToyPipeline, set: impl Set) -> Result<()> {
    let trainer = Trainer::new(pipeline).optimizer(AdamW::with_lr(0.01)).clip(1.0);
    set(in_folder(trainer, folder, stop)).run(data()).map(drop)
}

/// A row's own settings.
trait Set: Fn(Trainer<'static, ToyPipeline>) -> Trainer<'static, ToyPipeline> {}
impl<S: Fn(Trainer<'static, ToyPipeline>) -> Trainer<'static, ToyPipeline>> Set for S {}

fn optimized(folder: &Path, stop: Option<u64>, optimizer: impl Optimizer + Clone) -> Result<()> {
    toy(folder, stop, plain(), |trainer| trainer.optimizer(optimizer.clone()))
}

fn scheduled(folder: &Path, stop: Option<u64>, schedule: impl Schedule + Clone + 'static) -> Result<()> {
    toy(folder, stop, plain(), |trainer| trainer.schedule(schedule.clone()))
}

/// What the first batch determines: it is saved, and is the same after the last step as after the first.
pub(crate) const FIXED: [&str; 2] = ["loss/crd_t2_s1.student_constant", "loss/crd_t2_s1.teacher_constant"];

/// All rows.
pub(crate) fn parts() -> Vec<Part> {
    macro_rules! part {
        ($name:literal, $file:literal, $kept:expr, $run:expr) => {
            Part { name: $name, file: concat!("brew-core/src/", $file), kept: &$kept, run: $run }
        };
    }
    vec![
        part!(
            "AdamW",
            "train/optimizer/adam.rs",
            ["student/layer.0/first_moment", "student/head/second_moment", "optimizer_steps"],
            |folder, stop| optimized(folder, stop, AdamW::with_lr(0.01).weight_decay(0.1))
        ),
        part!("Adam", "train/optimizer/adam.rs", ["student/layer.0/first_moment"], |folder, stop| {
            optimized(folder, stop, Adam::with_lr(0.01))
        }),
        part!("Sgd with momentum", "train/optimizer/sgd.rs", ["student/layer.0/momentum"], |folder, stop| {
            optimized(folder, stop, Sgd::with_lr(0.05).momentum(0.9).nesterov())
        }),
        part!("Lion", "train/optimizer/lion.rs", ["student/layer.0/moment"], |folder, stop| {
            optimized(folder, stop, Lion::with_lr(0.001))
        }),
        part!("Adafactor", "train/optimizer/adafactor.rs", ["student/layer.0/row_moment"], |folder, stop| {
            optimized(folder, stop, Adafactor::with_lr(0.01))
        }),
        part!(
            "groups of parameters, with a rate a layer",
            "train/optimizer/groups.rs",
            ["learned/projection_hidden_mse_t2_s1.weight/first_moment"],
            |folder, stop| toy(folder, stop, plain(), |trainer| trainer.layer_decay(0.8))
        ),
        part!("Constant rate", "schedule/decay.rs", [], |folder, stop| scheduled(
            folder,
            stop,
            Decay::constant()
        )),
        part!("Linear decay of the rate", "schedule/decay.rs", [], |folder, stop| {
            scheduled(folder, stop, Decay::linear().with_warmup(0.4))
        }),
        part!("Decay of the rate", "schedule/decay.rs", [], |folder, stop| {
            scheduled(folder, stop, Decay::cosine().with_warmup(0.2))
        }),
        part!("OneCycle of the rate", "schedule/one_cycle.rs", [], |folder, stop| {
            scheduled(folder, stop, OneCycle::peak_at(0.3))
        }),
        part!("temperature by Flsw", "schedule/temperature.rs", [], |folder, stop| {
            toy(folder, stop, with(KdCe::at(2.0).scheduled(Flsw::new(1.0, 1.0))), |trainer| trainer)
        }),
        part!("temperature by Cwsm", "schedule/temperature.rs", [], |folder, stop| {
            toy(folder, stop, with(KdCe::at(2.0).scheduled(Cwsm::new(1.0))), |trainer| trainer)
        }),
        part!(
            "taid",
            "loss/logits/taid.rs",
            ["loss/taid.tau", "loss/taid.momentum", "loss/taid.previous"],
            |folder, stop| toy(folder, stop, with(Taid::at(1.0).alpha(0.5)), |trainer| trainer)
        ),
        part!(
            "a loss inside another",
            "loss/logits/transform.rs",
            ["loss/standardised.tau"],
            |folder, stop| {
                toy(folder, stop, with(standardised(Taid::at(1.0).alpha(0.5))), |trainer| trainer)
            }
        ),
        part!(
            "vid",
            "train/optimizer/groups.rs",
            ["vid_t2_s1.regressor.weight", "vid_t2_s1.regressor.bias", "vid_t2_s1.rho"],
            |folder, stop| {
                let vid = hidden(teacher_layer(2), student_layer(1)).by(Vid::between(6, 8));
                toy(folder, stop, matching(vid), |trainer| trainer)
            }
        ),
        part!(
            "crd",
            "loss/crd/memory.rs",
            [
                "loss/crd_t2_s1.student_bank",
                "loss/crd_t2_s1.teacher_bank",
                "loss/crd_t2_s1.student_constant",
                "loss/crd_t2_s1.teacher_constant",
                "crd_t2_s1.student.weight",
                "crd_t2_s1.student.bias",
                "crd_t2_s1.teacher.weight",
                "crd_t2_s1.teacher.bias"
            ],
            |folder, stop| in_folder(Trainer::new(contrast()), folder, stop).run(data()).map(drop)
        ),
        part!("the banks of crd", "loss/crd/bank.rs", ["loss/crd_t2_s1.student_bank"], |folder, stop| {
            in_folder(Trainer::new(contrast()).accumulate(2), folder, stop).run(data()).map(drop)
        }),
        part!(
            "learned variances",
            "train/optimizer/groups.rs",
            ["balance.kd_ce.log_variance"],
            |folder, stop| { toy(folder, stop, balanced(), |trainer| trainer) }
        ),
        part!(
            "the loader of a table",
            "train/windows.rs",
            ["batches", "data", "examples", "tokens"],
            |folder, stop| in_folder(Trainer::new(plain()), folder, stop).run(loader(folder)).map(drop)
        ),
        part!("augmentation of tokens", "train/windows.rs", ["data"], |folder, stop| {
            in_folder(Trainer::new(bert(1.0)), folder, stop).run(augmented(folder)).map(drop)
        }),
        part!("which task is drawn", "train/windows.rs", ["data", "batches"], |folder, stop| {
            in_folder(Trainer::new(tasks()), folder, stop).run().map(drop)
        }),
        part!("accumulated batches", "train/windows.rs", ["data"], |folder, stop| {
            toy(folder, stop, plain(), |trainer| trainer.accumulate(3))
        }),
        part!("the scale of float16", "train/precision.rs", ["loss_scale/scale"], |folder, stop| {
            let trainer = Trainer::new(bert(3e4)).precision(Precision::F16);
            in_folder(trainer, folder, stop).run(texts()).map(drop)
        }),
        part!("bfloat16", "train/optimizer/groups.rs", ["step"], |folder, stop| {
            let trainer = Trainer::new(bert(1.0)).precision(Precision::Bf16).accumulate(2);
            in_folder(trainer, folder, stop).run(texts()).map(drop)
        }),
        part!("activations that are computed again", "train/windows.rs", ["step"], |folder, stop| {
            let trainer = Trainer::new(bert(1.0)).gradient_checkpointing(true);
            in_folder(trainer, folder, stop).run(texts()).map(drop)
        }),
        part!(
            "the best value, and the end where it does not rise",
            "train/checkpoint.rs",
            ["evaluations", "evaluations_since_best"],
            |folder, stop| {
                // Nothing is learned, so that no value is above the first: the run ends after step 5.
                let trainer = Trainer::new(plain()).optimizer(Sgd::with_lr(0.0)).stop_after(4);
                in_folder(trainer.evaluate(data(), Accuracy), folder, stop).run(data()).map(drop)
            }
        ),
        part!("steps that are left out", "train/checkpoint.rs", ["skipped"], |folder, stop| {
            // After one such step nothing is finite.
            let trainer = Trainer::new(plain()).optimizer(Sgd::with_lr(1e305));
            in_folder(trainer.on_not_finite(NotFinite::Skip), folder, stop).run(data()).map(drop)
        }),
    ]
}
