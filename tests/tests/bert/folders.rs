//! Folders that load: what was saved, shards, bare encoders, narrower dtypes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use brew_core::pass::Wants;
use brew_core::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{read_tensors, trajectory};

use super::support::{batch, copy_of_teacher, difference, edit_config, load, logits, run, teacher};

/// Writes tensors of one dtype.
pub(crate) fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) {
    let parts: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| {
            let dtype = match tensor.kind() {
                Kind::Half => Dtype::F16,
                Kind::BFloat16 => Dtype::BF16,
                Kind::Float => Dtype::F32,
                Kind::Double => Dtype::F64,
                Kind::Int64 => Dtype::I64,
                other => panic!("no test writes {other:?}"),
            };
            let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
            let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
            (name.clone(), dtype, shape, bytes)
        })
        .collect();
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("a view"))
    });
    serialize_to_file(views, None, path).expect("a file");
}

/// The recorded teacher's weights.
pub(crate) fn weights() -> BTreeMap<String, Tensor> {
    read_tensors(&trajectory("teacher/model.safetensors"))
}

/// A folder with the recorded teacher's config and these weights.
pub(crate) fn folder_of(weights: &BTreeMap<String, Tensor>) -> TempDir {
    let folder = copy_of_teacher();
    write(&folder.path().join("model.safetensors"), weights);
    folder
}

#[test]
fn a_saved_model_loads_as_it_was() {
    let model = teacher();
    let folder = TempDir::new().unwrap();
    model.save(folder.path()).unwrap();
    let loaded = load(folder.path());
    assert_eq!(difference(&logits(&loaded), &logits(&model)), 0.0);
    let golden = weights();
    assert_eq!(loaded.parameters().iter().count(), golden.len());
    for (name, tensor) in loaded.parameters().iter() {
        assert_eq!(difference(tensor, &golden[name]), 0.0, "{name}");
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing but config.json and model.safetensors: {names:?}");
}

#[test]
fn a_saved_model_replaces_an_older_one() {
    let folder = copy_of_teacher();
    let student = load(&trajectory("student_final"));
    student.save(folder.path()).unwrap();
    assert_eq!(difference(&logits(&load(folder.path())), &logits(&student)), 0.0);
}

#[test]
fn keys_of_the_config_that_brew_does_not_know_are_kept() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| {
        config["task"] = json!({"name": "reviews"});
        config["id2label"] = json!({"0": "bad", "1": "fair", "2": "good"});
        config["label2id"] = json!({"bad": 0, "fair": 1, "good": 2});
        config["torch_dtype"] = json!("float16");
    });
    let saved = folder.path().join("saved");
    let student =
        BertForSequenceClassification::from_layers_of(&load(folder.path()), Keep::first(3)).unwrap();
    student.save(&saved).unwrap();
    let config: Value = serde_json::from_slice(&fs::read(saved.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["task"]["name"], "reviews");
    assert_eq!(config["id2label"]["2"], "good");
    assert_eq!(config["label2id"]["good"], 2);
    assert_eq!(config["num_hidden_layers"], 3);
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
    assert_eq!(config["vocab_size"], 120);
    // The weights are saved as float32, whatever they were before.
    assert_eq!((&config["dtype"], &config["torch_dtype"]), (&json!("float32"), &Value::Null));
}

#[test]
fn a_checkpoint_in_shards_loads() {
    let folder = copy_of_teacher();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (mut first, second) = (weights(), ["classifier.weight", "bert.pooler.dense.bias"]);
    let second: BTreeMap<_, _> = second.iter().map(|name| first.remove_entry(*name).unwrap()).collect();
    let mut map = BTreeMap::new();
    for (file, shard) in
        [("model-00001-of-00002.safetensors", &first), ("model-00002-of-00002.safetensors", &second)]
    {
        write(&folder.path().join(file), shard);
        map.extend(shard.keys().map(|name| (name.clone(), file)));
    }
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    assert_eq!(difference(&logits(&load(folder.path())), &logits(&teacher())), 0.0);
}

#[test]
fn a_checkpoint_of_a_bare_encoder_loads_without_its_prefix() {
    let bare: BTreeMap<_, _> = weights()
        .into_iter()
        .map(|(name, tensor)| (name.strip_prefix("bert.").unwrap_or(&name).to_owned(), tensor))
        .collect();
    assert!(bare.contains_key("embeddings.word_embeddings.weight"));
    let folder = folder_of(&bare);
    assert_eq!(difference(&logits(&load(folder.path())), &logits(&teacher())), 0.0);
}

#[test]
fn a_checkpoint_with_gamma_and_beta_and_other_heads_loads() {
    let mut old: BTreeMap<_, _> = weights()
        .into_iter()
        .map(|(name, tensor)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            (name.replace("LayerNorm.bias", "LayerNorm.beta"), tensor)
        })
        .collect();
    old.insert("cls.predictions.bias".to_owned(), Tensor::zeros([120], (Kind::Float, Device::Cpu)));
    let folder = folder_of(&old);
    assert_eq!(difference(&logits(&load(folder.path())), &logits(&teacher())), 0.0);
}

// libtorch's own conversion says what the float32 values must be.
#[test]
fn checkpoints_in_other_dtypes_load_as_float32() {
    for kind in [Kind::Half, Kind::BFloat16, Kind::Double] {
        let stored: BTreeMap<_, _> =
            weights().into_iter().map(|(name, tensor)| (name, tensor.to_kind(kind))).collect();
        let folder = folder_of(&stored);
        let model = load(folder.path());
        for (name, tensor) in model.parameters().iter() {
            assert_eq!(tensor.kind(), Kind::Float);
            assert_eq!(difference(tensor, &stored[name].to_kind(Kind::Float)), 0.0, "{name} in {kind:?}");
        }
        // bfloat16 has eight bits: the logits move by about a hundredth.
        assert!(difference(&logits(&model), &logits(&teacher())) < 0.1);
    }
}

#[test]
fn an_encoder_without_a_classifier_gets_one() {
    let mut encoder = weights();
    encoder.retain(|name, _| name.starts_with("bert."));
    encoder.insert("bert.embeddings.position_ids".to_owned(), Tensor::arange(32, (Kind::Int64, Device::Cpu)));
    let folder = copy_of_teacher();
    write(&folder.path().join("model.safetensors"), &encoder);
    let model = BertForSequenceClassification::from_encoder(folder.path(), 2, 0, Device::Cpu).unwrap();
    let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
    let batch = TextBatch { labels: None, ..batch(0) };
    let (new, old) = (run(&model, &batch, &pass).unwrap(), run(&teacher(), &batch, &pass).unwrap());
    assert_eq!(new.logits.size(), [6, 2]);
    assert_eq!(difference(&new.hidden_states[4], &old.hidden_states[4]), 0.0);
}
