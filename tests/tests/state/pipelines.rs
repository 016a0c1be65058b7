//! The pipelines and data in which the parts are tested.

use std::path::Path;
use std::sync::{Arc, Mutex};

use brew_core::distill::{GivenBy, Match, Targets};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::SoftTargets;
use brew_core::loss::{Crd, HiddenMse, KdCe};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::plan::Balance;
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::schedule::Weight;
use brew_core::train::MultiTask;
use brew_data::Loader;
use brew_data::augment::Augmentation;
use brew_data::prelude::*;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, recorded_batches, sentences, trajectory};

pub(crate) type ToyPipeline = Pipeline<Sentence, ToyOutputAdaptor>;

/// A toy with dropout whose loss on logits is this one, with features that are projected, and labels.
pub(crate) fn with<K>(loss: K) -> ToyPipeline
where
    K: Targets,
    K::Loss: SoftTargets<Seen<ToyOutputAdaptor>, Seen<ToyOutputAdaptor>>,
    K::Also: GivenBy<Seen<ToyOutputAdaptor>>,
{
    Distill::new(teacher(), student())
        .soft_targets(loss)
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)))
        .hard_labels(Weight::decaying(1.0))
        .plan()
        .unwrap()
}

pub(crate) fn teacher() -> Seen<ToyOutputAdaptor> {
    Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor)
}

pub(crate) fn student() -> Seen<ToyOutputAdaptor> {
    Toy::new(1, 6, 1).with_dropout(0.2).seen_by(ToyOutputAdaptor)
}

pub(crate) fn plain() -> ToyPipeline {
    with(KdCe::at(2.0))
}

pub(crate) fn data() -> Vec<Sentence> {
    sentences(4, 4, 5)
}

/// The same with this match beside the labels.
pub(crate) fn matching(matched: Match<role::Hidden>) -> ToyPipeline {
    Distill::new(teacher(), student()).matching(matched).hard_labels(1.0).plan().unwrap()
}

/// The same with learned variances of its terms.
pub(crate) fn balanced() -> ToyPipeline {
    Distill::new(teacher(), student())
        .soft_targets(KdCe::at(2.0))
        .hard_labels(1.0)
        .balanced(Balance::Uncertainty)
        .plan()
        .unwrap()
}

/// Sees the first token as the row of the data: each of the twelve tokens is a row of the banks.
pub(crate) struct WithRows;
#[adaptor(batch = Sentence, output = ToyOutput)]
impl WithRows {
    fn hidden(output: &ToyOutput) -> &Vec<Tensor> {
        &output.hidden
    }
    fn inputs_mask(batch: &Sentence) -> &Tensor {
        &batch.mask
    }
    fn index(batch: &Sentence) -> Tensor {
        batch.tokens.select(1, 0)
    }
    fn losses(output: &ToyOutput) -> &Option<Tensor> {
        &output.loss
    }
}

/// Contrast over memory banks.
pub(crate) fn contrast() -> Pipeline<Sentence, WithRows> {
    let student = Toy::new(1, 6, 1).with_dropout(0.2).seen_by(WithRows);
    let crd = Crd::over(12).between(6, 8).width(4).negatives(3);
    Distill::new(teacher(), student)
        .matching(hidden(teacher_layer(2), student_layer(1)).by(crd))
        .hard_labels(1.0)
        .plan()
        .unwrap()
}

/// Two tasks of one student, each with its own data, drawn in turn.
pub(crate) fn tasks() -> MultiTask<'static> {
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1).with_dropout(0.2)));
    let pipeline = |temperature| {
        Distill::new(teacher(), Arc::clone(&student).seen_by(ToyOutputAdaptor))
            .soft_targets(KdCe::at(temperature))
            .hard_labels(1.0)
            .plan()
            .unwrap()
    };
    MultiTask::new().task("first", pipeline(2.0), data()).task("second", pipeline(4.0), sentences(3, 2, 8))
}

/// The same the other way round.
pub(crate) fn tasks_turned() -> MultiTask<'static> {
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1).with_dropout(0.2)));
    let pipeline = |temperature| {
        Distill::new(teacher(), Arc::clone(&student).seen_by(ToyOutputAdaptor))
            .soft_targets(KdCe::at(temperature))
            .hard_labels(1.0)
            .plan()
            .unwrap()
    };
    MultiTask::new().task("second", pipeline(4.0), sentences(3, 2, 8)).task("first", pipeline(2.0), data())
}

/// A loader of a table: shuffled, bucketed, on several workers.
pub(crate) fn loader(folder: &Path) -> Loader<Sentence> {
    let path = folder.join("table.jsonl");
    let mut text = String::new();
    for row in 0..17_i64 {
        let tokens: Vec<i64> = (0..1 + row % 6).map(|place| (row * 5 + place) % 12).collect();
        let mask = vec![1; tokens.len()];
        text += &format!("{{\"tokens\": {tokens:?}, \"mask\": {mask:?}, \"labels\": {}}}\n", row % 3);
    }
    std::fs::write(&path, text).unwrap();
    Dataset::open(path).unwrap().batches(4).shuffled(3).bucketed().workers(2)
}

/// Reviews whose tokens are masked and shuffled differently in each epoch.
pub(crate) fn augmented(folder: &Path) -> Loader<TextBatch> {
    let path = folder.join("reviews.jsonl");
    let mut text = String::new();
    for row in 0..11_i64 {
        let tokens: Vec<i64> = (0..3 + row % 6).map(|place| 5 + (row * 7 + place) % 40).collect();
        let mask = vec![1; tokens.len()];
        text += &format!(
            "{{\"input_ids\": {tokens:?}, \"attention_mask\": {mask:?}, \"labels\": {}}}\n",
            row % 2
        );
    }
    std::fs::write(&path, text).unwrap();
    let augmentation = Augmentation::of_tokens([0], Some(4)).masking(0.3).deleting(0.2).seed(5);
    Dataset::open(path).unwrap().batches(2).shuffled(3).augmented(augmentation)
}

fn model(folder: &str) -> Seen<ClassifierOutputAdaptor> {
    let model = BertForSequenceClassification::from_pretrained(trajectory(folder), Device::Cpu);
    model.unwrap().seen_by(ClassifierOutputAdaptor)
}

/// The recorded models in float32, with a weight of the labels.
pub(crate) fn bert(labels: f64) -> Pipeline<TextBatch, ClassifierOutputAdaptor> {
    Distill::new(model("teacher"), model("student_init"))
        .soft_targets(KdCe::at(2.0))
        .matching(
            hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(32, 48)),
        )
        .hard_labels(labels)
        .plan()
        .unwrap()
}

/// The recorded batches.
pub(crate) fn texts() -> Vec<TextBatch> {
    recorded_batches(&trajectory(""), 4)
}
