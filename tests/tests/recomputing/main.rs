//! Gradient checkpointing of the encoder: losses and gradients to the last bit, and memory that goes down.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::{BertForTokenClassification, ClassifierOutputAdaptor};
use brew_core::observe::{Event, Observer};
use brew_core::pass::Wants;
use brew_core::plan::Projection;
use brew_core::prelude::*;
use tests::{alone, read_tensors, recorded_batches, trajectory};

fn small(head: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads").join(head)
}

fn tagger(architecture: &str) -> BertForTokenClassification {
    BertForTokenClassification::from_pretrained(small(&format!("{architecture}/token")), Device::Cpu).unwrap()
}

/// The loss, with every hidden state and map in it, and all gradients by name.
fn of(model: &BertForTokenClassification, architecture: &str, recompute: bool) -> Vec<(String, Tensor)> {
    let columns = read_tensors(&small(&format!("{architecture}/token")).join("golden.safetensors"));
    let (ids, mask, labels) = (&columns["input_ids"], &columns["attention_mask"], &columns["labels"]);
    let wants = ["hidden", "attention", "query", "value", "losses"];
    let wants = wants.into_iter().fold(Wants::nothing(), Wants::and_role);
    let pass = Pass::training(0, wants).recomputing(recompute);
    brew_core::tch::manual_seed(3);
    let output = model.forward(ids, mask, None, Some(labels), &pass).unwrap();
    let features =
        output.hidden_states.iter().chain(&output.attentions).map(|feature| feature.square().mean(None));
    let loss = features.fold(output.loss.unwrap().mean(None), |sum, feature| sum + feature);
    loss.backward();
    let parameters = model.parameters();
    let gradients = parameters.iter().filter(|(_, tensor)| tensor.grad().defined());
    let gradients = gradients.map(|(name, tensor)| (name.to_owned(), tensor.grad()));
    gradients.chain([("the loss".to_owned(), loss.detach())]).collect()
}

fn assert_equal(recomputed: &[(String, Tensor)], kept: &[(String, Tensor)], what: &str) {
    assert!(kept.len() > 2, "{what}");
    assert_eq!(recomputed.len(), kept.len(), "{what}");
    for ((name, recomputed), (_, kept)) in recomputed.iter().zip(kept) {
        assert!(recomputed == kept, "{what}: {name} differs");
    }
}

#[test]
fn losses_and_gradients_are_equal_to_the_last_bit_in_every_architecture_frozen_or_not() {
    let _alone = alone();
    for architecture in ["bert", "roberta", "distilbert"] {
        assert!(tagger(architecture).config().hidden_dropout_prob > 0.0, "the generator has a part in it");
        type Freeze = fn(BertForTokenClassification) -> BertForTokenClassification;
        let cases: [(&str, Freeze); 3] = [
            ("all of it learns", |model| model),
            ("a frozen start", |model| model.freeze_embeddings().unwrap().freeze_layers(1).unwrap()),
            ("the head alone", |model| model.freeze_embeddings().unwrap().freeze_layers(2).unwrap()),
        ];
        for (case, freeze) in cases {
            let [recomputed, kept] =
                [true, false].map(|recompute| of(&freeze(tagger(architecture)), architecture, recompute));
            assert_equal(&recomputed, &kept, &format!("{architecture}, {case}"));
        }
    }
}

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

/// The student after a few steps, and what was learned beside it.
fn trained(precision: Precision, recompute: bool) -> Vec<(String, Tensor)> {
    let load = |folder: &str| {
        BertForSequenceClassification::from_pretrained(trajectory(folder), Device::Cpu).unwrap()
    };
    let student = Arc::new(Mutex::new(load("student_init")));
    let pipeline = Distill::new(
        load("teacher").seen_by(ClassifierOutputAdaptor),
        student.clone().seen_by(ClassifierOutputAdaptor),
    )
    .soft_targets(KdCe::at(4.0))
    .matching([0, 1].map(|layer| {
        hidden(teacher_layer(2 * layer), student_layer(layer))
            .by(HiddenMse)
            .project(Projection::linear(32, 48))
    }))
    .hard_labels(1.0)
    .plan()
    .unwrap();
    let trained = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-3))
        .precision(precision)
        .gradient_checkpointing(recompute)
        .accumulate(2)
        .clip(1.0)
        .observe(Quiet)
        .run(recorded_batches(&trajectory(""), 6))
        .unwrap();
    let copies = |parameters: &Parameters| -> Vec<(String, Tensor)> {
        parameters.iter().map(|(name, tensor)| (name.to_owned(), tensor.detach().copy())).collect()
    };
    copies(&student.parameters()).into_iter().chain(copies(trained.projections())).collect()
}

#[test]
fn a_run_with_accumulated_batches_ends_with_the_same_student_in_every_precision() {
    let _alone = alone();
    for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
        assert_equal(&trained(precision, true), &trained(precision, false), &format!("{precision:?}"));
    }
    assert!(trained(Precision::F32, true) != trained(Precision::Bf16, true), "the precision is there again");
}

/// Bytes of memory of this process.
fn resident() -> f64 {
    memory_stats::memory_stats().unwrap().physical_mem as f64
}

#[test]
fn activations_are_not_kept_until_the_backward_pass() {
    let _alone = alone();
    let model = BertForSequenceClassification::from_pretrained(trajectory("teacher"), Device::Cpu).unwrap();
    let (rows, length) = (192, 32);
    let ids = Tensor::from_slice(&(0..rows * length).map(|place| 5 + place % 40).collect::<Vec<i64>>());
    let ids = ids.view([rows, length]);
    let mask = ids.ones_like();
    let held = |recompute: bool| {
        let pass = Pass::training(0, Wants::nothing()).recomputing(recompute);
        let before = resident();
        let output = model.forward(&ids, &mask, None, None, &pass).unwrap();
        let held = resident() - before;
        output.logits.sum(Kind::Float).backward();
        held
    };
    // Once, so that what libtorch allocates for itself is no part of either.
    held(false);
    let (kept, recomputed) = (held(false), held(true));
    assert!(kept > 8e6, "the batch is large enough to see: {kept}");
    assert!(recomputed < kept / 3.0, "{recomputed} of {kept} bytes");
}
