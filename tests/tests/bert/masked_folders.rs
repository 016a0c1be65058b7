//! Folders of masked language models: the forms in which they are stored, what brew saves, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use brew_core::model::BertForMaskedLm;
use brew_core::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use tests::read_tensors;

use super::folders::write;
use super::support::{
    difference, edit_config, head_folder, masked_batch, masked_folder, masked_folder_copy, masked_golden,
};

/// The case, the matrix of its tokens, and the names of the head's matrix, of its bias, and of the bias beside the
/// matrix.
const TIED: [(&str, &str, &str, &str, &str); 3] = [
    (
        "bert",
        "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.weight",
        "cls.predictions.bias",
        "cls.predictions.decoder.bias",
    ),
    (
        "roberta",
        "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.weight",
        "lm_head.bias",
        "lm_head.decoder.bias",
    ),
    (
        "distilbert",
        "distilbert.embeddings.word_embeddings.weight",
        "vocab_projector.weight",
        "vocab_projector.bias",
        "vocab_projector.bias",
    ),
];

fn open(folder: &Path) -> Result<BertForMaskedLm> {
    BertForMaskedLm::from_pretrained(folder, Device::Cpu)
}

/// A copy of a folder with changed weights.
fn changed(case: &str, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> TempDir {
    let folder = masked_folder_copy(case);
    let path = folder.path().join("model.safetensors");
    let mut weights = read_tensors(&path);
    change(&mut weights);
    write(&path, &weights);
    folder
}

fn refusal(folder: &TempDir) -> String {
    open(folder.path()).unwrap_err().to_string()
}

fn assert_logits(case: &str, model: &BertForMaskedLm) {
    let golden = masked_golden(case);
    let batch = masked_batch(&golden);
    let types = batch.token_type_ids.as_ref();
    let off =
        difference(&model.logits(&batch.input_ids, &batch.attention_mask, types).unwrap(), &golden["logits"]);
    assert!(off < 1e-5, "{case} is off by {off:e}");
}

#[test]
fn a_tied_matrix_and_its_bias_are_read_under_either_name_or_both() {
    for (case, table, matrix, bias, beside) in TIED {
        let under = |name: &str, from: &str, keep: bool| {
            changed(case, |weights| {
                let tensor = weights[from].shallow_clone();
                if !keep {
                    weights.remove(from);
                }
                weights.insert(name.to_owned(), tensor);
            })
        };
        for folder in [
            under(matrix, table, true),
            under(matrix, table, false),
            under(beside, bias, true),
            under(beside, bias, false),
        ] {
            assert_logits(case, &open(folder.path()).unwrap());
        }
    }
}

#[test]
fn names_that_should_be_one_parameter_and_differ_are_refused() {
    for (case, table, matrix, bias, beside) in TIED {
        let message = refusal(&changed(case, |weights| {
            let other = &weights[table] + 1.0;
            weights.insert(matrix.to_owned(), other);
        }));
        for part in ["tie_word_embeddings is true", matrix, table, "set tie_word_embeddings to false"] {
            assert!(message.contains(part), "{message}");
        }
        if bias != beside {
            let message = refusal(&changed(case, |weights| {
                let other = &weights[bias] + 1.0;
                weights.insert(beside.to_owned(), other);
            }));
            for part in [bias, beside, "remove the wrong one"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}

// transformers computes with the bias beside the matrix; `make.py` saved another one under the other name.
#[test]
fn a_head_with_a_matrix_of_its_own_uses_the_bias_beside_it_and_saves_both_names() {
    let model = open(&masked_folder("untied")).unwrap();
    assert_logits("untied", &model);
    let folder = TempDir::new().unwrap();
    model.save(folder.path()).unwrap();
    let saved = read_tensors(&folder.path().join("model.safetensors"));
    assert_eq!(difference(&saved["cls.predictions.bias"], &saved["cls.predictions.decoder.bias"]), 0.0);
    assert_logits("untied", &open(folder.path()).unwrap());
    // One bias alone, as older versions wrote it.
    let one = changed("untied", |weights| {
        let beside = weights.remove("cls.predictions.decoder.bias").unwrap();
        weights.insert("cls.predictions.bias".to_owned(), beside);
    });
    assert_logits("untied", &open(one.path()).unwrap());
    let message =
        refusal(&changed("untied", |weights| drop(weights.remove("cls.predictions.decoder.weight"))));
    for part in ["there is no `cls.predictions.decoder.weight`", "set tie_word_embeddings to true"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_is_saved_has_the_names_that_transformers_gave_it() {
    for case in ["bert", "roberta", "distilbert", "untied"] {
        let folder = TempDir::new().unwrap();
        open(&masked_folder(case)).unwrap().save(folder.path()).unwrap();
        let names = |folder: &Path| -> BTreeSet<String> {
            read_tensors(&folder.join("model.safetensors")).into_keys().collect()
        };
        assert_eq!(names(folder.path()), names(&masked_folder(case)), "{case}");
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
        let class = match case {
            "roberta" => "RobertaForMaskedLM",
            "distilbert" => "DistilBertForMaskedLM",
            _ => "BertForMaskedLM",
        };
        assert_eq!(config["architectures"], json!([class]));
        assert_eq!(config["tie_word_embeddings"], json!(case != "untied"));
        assert_logits(case, &open(folder.path()).unwrap());
    }
}

#[test]
fn a_folder_without_the_head_is_refused_and_gets_a_new_one_on_request() {
    for (architecture, prefix) in [("bert", "cls."), ("roberta", "lm_head."), ("distilbert", "vocab_")] {
        let folder = changed(architecture, |weights| weights.retain(|name, _| !name.starts_with(prefix)));
        edit_config(folder.path(), |config| config["architectures"] = json!(["BertModel"]));
        let message = refusal(&folder);
        for part in ["an encoder without a head for this task", "BertForMaskedLm::from_encoder"] {
            assert!(message.contains(part), "{message}");
        }
        let message = open(&head_folder(&format!("{architecture}/token"))).unwrap_err().to_string();
        for part in ["it has a head for tokens", "load it with BertForTokenClassification::from_pretrained"] {
            assert!(message.contains(part), "{message}");
        }
        for folder in [folder.path(), &head_folder(&format!("{architecture}/token"))] {
            let of = |seed| BertForMaskedLm::from_encoder(folder, seed, Device::Cpu).unwrap().parameters();
            let (one, again, other) = (of(1), of(1), of(2));
            let mut new = 0;
            for (((name, one), (_, again)), (_, other)) in one.iter().zip(again.iter()).zip(other.iter()) {
                assert_eq!(difference(one, again), 0.0, "{name}");
                new += usize::from(difference(one, other) > 0.0);
                let expected = match name {
                    _ if name.starts_with(architecture) => continue,
                    _ if name.ends_with("bias") => 0.0,
                    _ if name.to_lowercase().contains("norm") => 1.0,
                    _ => continue,
                };
                assert_eq!((one - expected).abs().max().double_value(&[]), 0.0, "{name}");
            }
            assert_eq!(new, 1, "only the linear layer of the head is drawn");
        }
    }
}

#[test]
fn a_new_head_on_a_model_of_the_same_task_replaces_the_old_one() {
    for case in ["bert", "untied"] {
        let model = open(&masked_folder(case)).unwrap().freeze_embeddings().unwrap();
        let (before, after) = (model.parameters(), model.with_new_head(5).unwrap().parameters());
        for ((name, before), (_, after)) in before.iter().zip(after.iter()) {
            assert!(after.requires_grad(), "{name}");
            assert_eq!(difference(before, after) > 0.0, name.starts_with("cls."), "{case}: {name}");
        }
    }
}

// BERT's own checkpoints have the head of next sentences and a pooler, too.
#[test]
fn a_checkpoint_of_berts_pretraining_is_a_masked_language_model() {
    let folder = changed("bert", |weights| {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        weights.insert("cls.seq_relationship.weight".to_owned(), zeros(&[2, 8]));
        weights.insert("cls.seq_relationship.bias".to_owned(), zeros(&[2]));
        weights.insert("bert.pooler.dense.weight".to_owned(), zeros(&[8, 8]));
        weights.insert("bert.pooler.dense.bias".to_owned(), zeros(&[8]));
    });
    for class in ["BertForPreTraining", "BertForMaskedLM"] {
        edit_config(folder.path(), |config| config["architectures"] = json!([class]));
        assert_logits("bert", &open(folder.path()).unwrap());
    }
    edit_config(folder.path(), |config| drop(config.as_object_mut().unwrap().remove("architectures")));
    assert_logits("bert", &open(folder.path()).unwrap());
}

#[test]
fn a_vocabulary_or_a_head_of_another_size_is_named_with_both_shapes() {
    let folder = masked_folder_copy("bert");
    edit_config(folder.path(), |config| config["vocab_size"] = json!(30));
    let message = refusal(&folder);
    for part in [
        "`bert.embeddings.word_embeddings.weight` is (24, 8), but by the config it should be (30, 8)",
        "`cls.predictions.bias` is (24), but by the config it should be (30)",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let message = refusal(&changed("roberta", |weights| {
        let wider = Tensor::zeros([9, 8], (Kind::Float, Device::Cpu));
        weights.insert("lm_head.dense.weight".to_owned(), wider);
        weights.remove("lm_head.layer_norm.bias");
    }));
    for part in
        ["`lm_head.dense.weight` is (9, 8)", "should be (8, 8)", "`lm_head.layer_norm.bias` is missing"]
    {
        assert!(message.contains(part), "{message}");
    }
}

// A config may name the classes of a task that the encoder had before.
#[test]
fn names_of_classes_in_the_config_are_no_names_of_tokens() {
    let folder = masked_folder_copy("distilbert");
    edit_config(folder.path(), |config| config["id2label"] = json!({"0": "no", "1": "yes"}));
    let model = open(folder.path()).unwrap();
    assert_eq!(model.class_names(), None);
    model.learn_task(None, Some(&["bad".to_owned(), "good".to_owned()]));
    assert_eq!(model.class_names(), None);
    assert_logits("distilbert", &model);
}
