//! Folders that people bring: other heads, other names of classes, weights in PyTorch's own format.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use brew_core::model::BertForTokenClassification;
use brew_core::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{python, say};

use super::folders::{folder_of, weights, write};
use super::support::{copy_of_teacher, difference, edit_config, load, logits, refusal, teacher};
use super::transformers_reads_it::IMPORTS;

fn fixture(case: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/folders").join(case)
}

// transformers' `_init_weights` of a linear layer: N(0, initializer_range), here 0.02; bias 0.
#[test]
fn a_bert_without_a_pooler_becomes_a_classifier_with_a_new_one() {
    for case in ["bert_masked", "bert_tagger"] {
        let model =
            |seed| BertForSequenceClassification::from_encoder(fixture(case), 4, seed, Device::Cpu).unwrap();
        let parameters: Vec<BTreeMap<String, Tensor>> = [model(1), model(1), model(2)]
            .iter()
            .map(|model| {
                model.parameters().iter().map(|(name, tensor)| (name.to_owned(), tensor.copy())).collect()
            })
            .collect();
        let [first, again, other] = parameters.as_slice() else { panic!("three models") };
        for (name, tensor) in first {
            assert_eq!(difference(tensor, &again[name]), 0.0, "{name}");
            let is_new = ["bert.pooler.dense.weight", "classifier.weight"].contains(&name.as_str());
            assert_eq!(difference(tensor, &other[name]) > 0.0, is_new, "{name}");
        }
        let pooler = &first["bert.pooler.dense.weight"];
        assert_eq!(pooler.size(), [8, 8]);
        // Sixty-four draws: their deviation is within a third of 0.02 (3.8 standard errors).
        assert!((pooler.std(true).double_value(&[]) - 0.02).abs() < 0.0067);
        assert_eq!(first["bert.pooler.dense.bias"].abs().max().double_value(&[]), 0.0);
    }
}

#[test]
fn a_new_pooler_is_said_in_one_line() {
    if std::env::var_os("BREW_TEST_OF_A_NOTE").is_some() {
        BertForSequenceClassification::from_encoder(fixture("bert_tagger"), 2, 1, Device::Cpu).unwrap();
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "brought::a_new_pooler_is_said_in_one_line", "--nocapture"])
        .env("BREW_TEST_OF_A_NOTE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().filter(|line| line.contains("pooler")).collect();
    assert!(output.status.success() && lines.len() == 1, "{said}");
    assert!(lines[0].contains("bert_tagger") && lines[0].contains("a new, untrained one"), "{said}");
}

#[test]
fn a_head_for_another_task_is_named_with_the_type_that_loads_it() {
    let message = refusal(&fixture("bert_tagger"));
    for wanted in [
        "tokens of",
        "(BertForTokenClassification)",
        "load it with BertForTokenClassification::from_pretrained",
        "BertForSequenceClassification::from_encoder",
    ] {
        assert!(message.contains(wanted), "{message}");
    }
    let message = refusal(&fixture("bert_masked"));
    assert!(message.contains("load it with BertForMaskedLm::from_pretrained"), "{message}");
    let message = refusal(&fixture("distilbert_reader"));
    assert!(message.contains("load it with BertForQuestionAnswering::from_pretrained"), "{message}");
    // Both pieces of advice work.
    BertForTokenClassification::from_pretrained(fixture("bert_tagger"), Device::Cpu).unwrap();
    BertForSequenceClassification::from_encoder(fixture("bert_tagger"), 2, 1, Device::Cpu).unwrap();
    // A head that is none of transformers': the names say what there is.
    let mut own = weights();
    let head = own.remove("classifier.weight").unwrap();
    own.insert("head.fc.weight".to_owned(), head);
    let message = refusal(folder_of(&own).path());
    assert!(
        message.contains("`classifier.weight` is missing") && message.contains("`head.fc.weight`"),
        "{message}"
    );
}

#[test]
fn weights_behind_the_prefix_of_another_module_are_read() {
    for prefix in ["module.", "model.", "_orig_mod."] {
        let wrapped =
            weights().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        assert_eq!(
            difference(&logits(&load(folder_of(&wrapped).path())), &logits(&teacher())),
            0.0,
            "{prefix}"
        );
    }
}

#[test]
fn weights_of_another_architecture_than_the_config_are_refused_by_their_prefix() {
    let of = |prefix: &str| {
        let renamed = |(name, tensor): (String, Tensor)| (name.replacen("bert.", prefix, 1), tensor);
        refusal(folder_of(&weights().into_iter().map(renamed).collect()).path())
    };
    let message = of("roberta.");
    assert!(message.contains("begin with `roberta.`") && message.contains("config.json"), "{message}");
}

// Four layers of 16 tensors each are in the checkpoint.
#[test]
fn many_missing_or_misshapen_tensors_are_counted_and_the_first_named() {
    let folder = copy_of_teacher();
    edit_config(folder.path(), |config| config["num_hidden_layers"] = json!(6));
    let message = refusal(folder.path());
    assert!(message.contains("the checkpoint has 4 layers, but num_hidden_layers is 6"), "{message}");
    // Two layers of 16 tensors, and the line above.
    assert!(message.contains("33 problems") && message.contains("and 27 more missing tensors"), "{message}");
    assert!(!message.contains("match the config") || message.contains("4 layers"), "{message}");
    assert!(message.lines().count() < 10, "{message}");

    edit_config(folder.path(), |config| {
        config["num_hidden_layers"] = json!(4);
        config["hidden_size"] = json!(24);
    });
    let message = refusal(folder.path());
    assert!(message.contains("the weights do not match the config"), "{message}");
    assert!(
        message.contains("more tensors of a different shape") && message.lines().count() < 10,
        "{message}"
    );

    let mut other = weights();
    other.retain(|name, _| !name.contains("attention.self"));
    other.insert(
        "bert.encoder.layer.0.attention.qkv.weight".to_owned(),
        Tensor::zeros([1], (Kind::Float, Device::Cpu)),
    );
    let message = refusal(folder_of(&other).path());
    assert!(
        message.contains("no part of the model asked for: `bert.encoder.layer.0.attention.qkv.weight`"),
        "{message}"
    );
    assert!(!message.contains("match the config"), "{message}");
}

// What transformers 5.24.0 takes: AutoConfig.from_pretrained on each of these.
#[test]
fn label_maps_that_transformers_takes_are_read() {
    let names = |edit: fn(&mut Value)| {
        let folder = copy_of_teacher();
        edit_config(folder.path(), edit);
        let config = load(folder.path()).config().clone();
        config.id2label.into_values().collect::<Vec<_>>()
    };
    let texts = names(|config| {
        config["id2label"] = json!({"0": "bad", "1": "fair", "2": "good"});
        config["label2id"] = json!({"bad": "0", "fair": "1", "good": "2"});
    });
    assert_eq!(texts, ["bad", "fair", "good"]);
    let numbers = names(|config| {
        config["id2label"] = json!({"0": 1, "1": 2, "2": 3});
        config["label2id"] = json!({"1": 0, "2": 1, "3": 2});
    });
    assert_eq!(numbers, ["1", "2", "3"]);
    let nulls = names(|config| {
        config["id2label"] = Value::Null;
        config["label2id"] = Value::Null;
        config["num_labels"] = json!(3);
    });
    assert_eq!(nulls, ["LABEL_0", "LABEL_1", "LABEL_2"]);
}

#[test]
fn an_activation_keeps_its_name_when_the_model_is_saved() {
    let saved = TempDir::new().unwrap();
    for (name, kept) in [("gelu_pytorch_tanh", "gelu_pytorch_tanh"), ("swish", "swish"), ("gelu", "gelu")] {
        let folder = copy_of_teacher();
        edit_config(folder.path(), |config| config["hidden_act"] = json!(name));
        load(folder.path()).save(saved.path()).unwrap();
        let config: Value =
            serde_json::from_slice(&fs::read(saved.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(config["hidden_act"], kept);
    }
}

#[test]
fn weights_that_are_not_read_are_named_with_what_to_do() {
    let of = |files: &[&str]| {
        let folder = copy_of_teacher();
        fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        files.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        refusal(folder.path())
    };
    for bins in [
        &["pytorch_model.bin"][..],
        &[
            "pytorch_model-00001-of-00002.bin",
            "pytorch_model-00002-of-00002.bin",
            "pytorch_model.bin.index.json",
        ],
    ] {
        let message = of(bins);
        assert!(message.contains(&format!("`{}`", bins[0])) && message.contains("python -c"), "{message}");
    }
    assert!(
        of(&["tf_model.h5", "flax_model.msgpack"])
            .contains("the folder has `flax_model.msgpack`, `tf_model.h5`")
    );
    assert!(of(&["model_fp16.safetensors"]).contains("`model_fp16.safetensors`"));
    assert!(of(&["adapter_config.json", "adapter_model.safetensors"]).contains("`load_adapter`"));
    assert!(of(&[]).contains("put the model's weights beside its config.json"));
}

// The first lines of such a file, by the specification of Git LFS.
#[test]
fn a_pointer_of_git_lfs_is_named() {
    let folder = copy_of_teacher();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    fs::write(folder.path().join("model.safetensors"), pointer).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains("git lfs pull") && !message.contains("not a complete"), "{message}");
}

#[test]
fn a_folder_of_models_names_them() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("checkpoint-20")).unwrap();
    fs::copy(fixture("bert_masked/config.json"), folder.path().join("checkpoint-20/config.json")).unwrap();
    assert!(refusal(folder.path()).contains("these subfolders have one: `checkpoint-20`"));
    assert!(refusal(&folder.path().join("absent")).contains("the folder does not exist"));
}

/// Saves the teacher's weights as PyTorch's own files, as transformers 4 did.
const SAVE_AS_BIN: &str = r#"
import json, sys, torch
from safetensors.torch import load_file
weights, folder, shards = load_file(sys.argv[1]), sys.argv[2], int(sys.argv[3])
parts = [dict(list(weights.items())[part::shards]) for part in range(shards)]
names = [f"pytorch_model-{part + 1:05}-of-{shards:05}.bin" if shards > 1 else "pytorch_model.bin" for part in range(shards)]
for name, part in zip(names, parts):
    torch.save(part, f"{folder}/{name}")
if shards > 1:
    index = {key: name for name, part in zip(names, parts) for key in part}
    json.dump({"metadata": {}, "weight_map": index}, open(f"{folder}/pytorch_model.bin.index.json", "w"))
"#;

#[test]
fn the_conversion_that_is_advised_works_as_it_is_printed() {
    let test = "the_conversion_that_is_advised_works_as_it_is_printed";
    let Some(python) = python(test, IMPORTS) else { return };
    for shards in ["1", "3"] {
        let parent = TempDir::new().unwrap();
        let folder = parent.path().join("a person's model");
        fs::create_dir(&folder).unwrap();
        let source = copy_of_teacher();
        fs::copy(source.path().join("config.json"), folder.join("config.json")).unwrap();
        let output = Command::new(&python)
            .args(["-c", SAVE_AS_BIN])
            .arg(source.path().join("model.safetensors"))
            .arg(&folder)
            .arg(shards)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let message = refusal(&folder);
        let line = message.lines().last().unwrap().trim();
        let advised = line.strip_prefix("python ").unwrap();
        let output = Command::new("sh").args(["-c", &format!("'{python}' {advised}")]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(difference(&logits(&load(&folder)), &logits(&teacher())), 0.0);
    }
    say(test, "followed for one file and for three");
}

#[test]
fn a_checkpoint_with_a_stray_encoder_reads_the_one_with_the_usual_name() {
    let mut both = weights();
    let copy = both["bert.embeddings.word_embeddings.weight"].shallow_clone();
    both.insert("teacher.embeddings.word_embeddings.weight".to_owned(), copy);
    let folder = copy_of_teacher();
    write(&folder.path().join("model.safetensors"), &both);
    assert_eq!(difference(&logits(&load(folder.path())), &logits(&teacher())), 0.0);
}
