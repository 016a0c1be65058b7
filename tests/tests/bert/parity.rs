//! The same numbers as Python's transformers 5.23.0 with torch 2.11.0.
//!
//! The numbers in this file are printed by:
//! ```text
//! import torch, torch.nn.functional as F
//! from safetensors.torch import load_file
//! from transformers import BertForSequenceClassification
//! folder = "tests/fixtures/trajectory"
//! model = BertForSequenceClassification.from_pretrained(f"{folder}/teacher").eval()
//! batch = {k: v[0] for k, v in load_file(f"{folder}/batches.safetensors").items()}
//! inputs = {k: batch[k] for k in ["input_ids", "attention_mask"]}
//! types = (torch.arange(12) % 2).expand(6, 12)
//! print(model(**inputs, token_type_ids=types).logits)
//! logits = model(**inputs).logits
//! print(F.cross_entropy(logits, batch["labels"], reduction="none"))
//! F.cross_entropy(logits, batch["labels"]).backward()
//! for name, parameter in model.named_parameters(): print(name, parameter.grad.norm())
//! ```

use brew_core::model::ClassifierOutputAdaptor;
use brew_core::pass::Wants;
use brew_core::prelude::*;
use tests::{read_tensors, trajectory};

use super::support::{
    batch, copy_of_teacher, difference, edit_config, everything, load, logits, run, teacher,
};

#[test]
fn logits_hidden_states_and_attention_maps_are_those_of_transformers() {
    let output = run(&teacher(), &batch(0), &Pass::evaluation(everything())).unwrap();
    let golden = read_tensors(&trajectory("teacher_outputs_batch0.safetensors"));
    assert_eq!((output.hidden_states.len(), output.attentions.len()), (5, 4));
    let hidden = output.hidden_states.iter().enumerate().map(|(n, state)| (format!("hidden.{n}"), state));
    let maps = output.attentions.iter().enumerate().map(|(n, map)| (format!("attention.{n}"), map));
    for (name, found) in hidden.chain(maps).chain([("logits".to_owned(), &output.logits)]) {
        let off = difference(found, &golden[&name]);
        assert!(off < 1e-5, "{name} is off by {off:e}");
    }
}

#[test]
fn fused_attention_gives_the_same_hidden_states() {
    let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
    let output = run(&teacher(), &batch(0), &pass).unwrap();
    assert!(output.attentions.iter().all(|map| !map.defined()));
    let golden = read_tensors(&trajectory("teacher_outputs_batch0.safetensors"));
    for (number, state) in output.hidden_states.iter().enumerate() {
        let off = difference(state, &golden[&format!("hidden.{number}")]);
        assert!(off < 1e-5, "hidden.{number} is off by {off:e}");
    }
    assert!(difference(&output.logits, &golden["logits"]) < 1e-5);
}

#[test]
fn token_types_are_those_of_transformers() {
    let golden = Tensor::from_slice(&[
        1.373_219_7_f32,
        -0.486_561_78,
        1.455_318,
        1.101_712_8,
        0.212_065_82,
        1.314_843,
        -0.326_510_3,
        1.660_882_5,
        1.644_936_9,
        0.460_298_9,
        -0.105_809_33,
        1.943_479_5,
        1.386_552_6,
        0.225_552_08,
        2.487_601,
        1.389_803_5,
        -0.227_628_23,
        0.572_312_65,
    ])
    .view([6, 3]);
    let types = Tensor::arange(12, (Kind::Int64, Device::Cpu)).remainder(2).expand([6, 12], false);
    let batch = TextBatch { token_type_ids: Some(types), ..batch(0) };
    let output = run(&teacher(), &batch, &Pass::evaluation(Wants::nothing())).unwrap();
    assert!(difference(&output.logits, &golden) < 1e-5);
}

#[test]
fn the_loss_is_the_mean_cross_entropy_of_the_examples() {
    let golden = Tensor::from_slice(&[
        0.474_751_77_f32,
        0.961_777_03,
        0.556_583_46,
        1.706_108_8,
        3.111_299_3,
        0.460_950_8,
    ]);
    let output = run(&teacher(), &batch(0), &Pass::evaluation(everything())).unwrap();
    assert!(difference(&output.loss.unwrap(), &golden.mean(Kind::Float)) < 1e-5);
}

#[test]
fn gradients_are_those_of_transformers_by_either_attention() {
    let _alone = tests::alone();
    for wants in [everything(), Wants::nothing().and_role("losses")] {
        let model = teacher();
        let output = run(&model, &batch(0), &Pass::training(0, wants.clone())).unwrap();
        output.loss.unwrap().backward();
        let parameters = model.parameters();
        let gradient = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).unwrap().1.grad();
        for (name, golden) in [
            ("bert.embeddings.word_embeddings.weight", 1.914_160_7),
            ("bert.embeddings.position_embeddings.weight", 1.861_998_1),
            ("bert.embeddings.token_type_embeddings.weight", 2.716_020_1),
            ("bert.encoder.layer.0.attention.self.query.weight", 1.306_394_7),
            ("bert.encoder.layer.3.output.LayerNorm.weight", 0.357_281_8),
            ("bert.pooler.dense.weight", 1.937_983_3),
            ("classifier.bias", 0.284_455_96),
        ] {
            let norm = gradient(name).norm().double_value(&[]);
            assert!((norm - golden).abs() < 1e-4, "{name}: {norm} and {golden}, {wants:?}");
        }
        // transformers makes the embedding with padding_idx: 29 of the 72 tokens are padding.
        let padding = gradient("bert.embeddings.word_embeddings.weight").get(0).abs().max();
        assert_eq!(padding.double_value(&[]), 0.0);
    }
}

#[test]
fn the_adaptor_that_comes_with_the_model_gives_every_role() {
    let model = teacher().seen_by(ClassifierOutputAdaptor);
    let batch = batch(0);
    let output = model.run(&batch, &Pass::evaluation(everything())).unwrap();
    let shapes = |role: &str| -> Vec<Vec<i64>> {
        let feature = model.read(role, &batch, &output).unwrap().expect(role);
        feature.into_tensors().iter().map(Tensor::size).collect()
    };
    assert_eq!(shapes("logits"), [[6, 3]]);
    assert_eq!(shapes("hidden"), [[6, 12, 48]; 5]);
    assert_eq!(shapes("attention"), [[6, 4, 12, 12]; 4]);
    assert_eq!(shapes("losses"), [[0_i64; 0]]);
    assert_eq!(shapes("labels"), [[6]]);
    assert_eq!(shapes("inputs_mask"), [[6, 12]]);
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let nothing = run(&teacher(), &batch(0), &Pass::evaluation(Wants::nothing())).unwrap();
    assert!(nothing.hidden_states.iter().chain(&nothing.attentions).all(|tensor| !tensor.defined()));
    assert!(nothing.loss.is_none());

    let some = Wants::nothing().and_layer("hidden", 2).and_layer("hidden", -1).and_layer("attention", 1);
    let some = run(&teacher(), &batch(0), &Pass::evaluation(some)).unwrap();
    let kept = |tensors: &[Tensor]| tensors.iter().map(Tensor::defined).collect::<Vec<_>>();
    assert_eq!(kept(&some.hidden_states), [false, false, true, false, true]);
    assert_eq!(kept(&some.attentions), [false, true, false, false]);
}

#[test]
fn dropout_is_on_in_training_alone() {
    let _alone = tests::alone();
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| {
        config["hidden_dropout_prob"] = 0.5.into();
        config["attention_probs_dropout_prob"] = 0.5.into();
    });
    let model = load(folder.path());
    assert_eq!(difference(&logits(&model), &logits(&teacher())), 0.0);
    for wants in [everything(), Wants::nothing()] {
        let output = run(&model, &batch(0), &Pass::training(0, wants)).unwrap();
        assert!(difference(&output.logits, &logits(&model)) > 0.1);
    }
}

#[test]
fn a_row_of_padding_alone_gives_no_nan() {
    let mut batch = batch(0);
    let _ = batch.attention_mask.get(2).fill_(0);
    batch.labels = None;
    for wants in [everything(), Wants::nothing()] {
        let output = run(&teacher(), &batch, &Pass::evaluation(wants)).unwrap();
        assert!(bool::try_from(output.logits.isfinite().all()).unwrap());
    }
}
