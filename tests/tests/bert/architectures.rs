//! Folders of RoBERTa and DistilBERT: saved under their own names, refused with their own keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use brew_core::model::{BertForQuestionAnswering, BertForTokenClassification};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::read_tensors;

use super::folders::write;
use super::support::{difference, edit_config, head_folder, head_folder_copy};

fn config_of(folder: &Path) -> BTreeMap<String, Value> {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

/// Loads a folder, saves it, and compares all that is in both: brew writes the names of the classes
/// even where they are transformers' own.
fn round_trip<M: Model>(case: &str, load: impl Fn(&Path) -> Result<M>) {
    let (source, saved) = (head_folder(case), TempDir::new().unwrap());
    load(&source).unwrap().save(saved.path()).unwrap();
    let [before, after] =
        [&source, saved.path()].map(|folder| read_tensors(&folder.join("model.safetensors")));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{case}");
    for (name, tensor) in &after {
        assert_eq!(difference(tensor, &before[name]), 0.0, "{case}: {name}");
    }
    let (before, after) = (config_of(&source), config_of(saved.path()));
    for (key, value) in &before {
        assert_eq!(&after[key], value, "{case}: {key}");
    }
    let new: BTreeSet<_> =
        after.keys().filter(|key| !before.contains_key(*key)).map(String::as_str).collect();
    assert!(new.is_subset(&BTreeSet::from(["id2label", "label2id", "problem_type"])), "{case}: {new:?}");
    load(saved.path()).unwrap();
}

#[test]
fn a_saved_folder_has_the_names_of_its_architecture() {
    for architecture in ["bert", "roberta", "distilbert"] {
        round_trip(&format!("{architecture}/sequence"), |folder| {
            BertForSequenceClassification::from_pretrained(folder, Device::Cpu)
        });
        round_trip(&format!("{architecture}/token"), |folder| {
            BertForTokenClassification::from_pretrained(folder, Device::Cpu)
        });
        round_trip(&format!("{architecture}/question"), |folder| {
            BertForQuestionAnswering::from_pretrained(folder, Device::Cpu)
        });
    }
}

// Encoders as they are published: without a prefix, without any head.
#[test]
fn a_bare_encoder_gets_the_head_of_its_architecture() {
    for (architecture, new) in [
        ("roberta", ["classifier.dense", "classifier.out_proj"]),
        ("distilbert", ["pre_classifier", "classifier"]),
    ] {
        let case = format!("{architecture}/sequence");
        let folder = head_folder_copy(&case);
        let weights = read_tensors(&folder.path().join("model.safetensors"));
        let prefix = format!("{architecture}.");
        let bare: BTreeMap<_, _> = weights
            .into_iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor)))
            .collect();
        write(&folder.path().join("model.safetensors"), &bare);

        let model =
            |seed| BertForSequenceClassification::from_encoder(folder.path(), 2, seed, Device::Cpu).unwrap();
        let [first, again, other] = [model(1), model(1), model(2)].map(|model| model.parameters());
        let trained = bare.len();
        assert_eq!(first.iter().count(), trained + 4);
        for (((name, first), (_, again)), (_, other)) in first.iter().zip(again.iter()).zip(other.iter()) {
            assert_eq!(difference(first, again), 0.0, "{name}");
            let is_new = new.iter().any(|layer| name == format!("{layer}.weight"));
            assert_eq!(difference(first, other) > 0.0, is_new, "{name}");
        }
        let message = BertForSequenceClassification::from_pretrained(folder.path(), Device::Cpu).unwrap_err();
        assert!(message.to_string().contains("BertForSequenceClassification::from_encoder"), "{message}");
        let reader = BertForQuestionAnswering::from_encoder(folder.path(), 1, Device::Cpu).unwrap();
        assert_eq!(reader.with_new_head(4).unwrap().config().classes(), 2);
    }
}

#[test]
fn a_distilbert_reads_no_token_types() {
    let model =
        BertForTokenClassification::from_pretrained(head_folder("distilbert/token"), Device::Cpu).unwrap();
    let ids = Tensor::from_slice2(&[[5_i64, 9, 30]]);
    let pass = Pass::evaluation(Wants::nothing());
    let logits =
        |types: Option<&Tensor>| model.forward(&ids, &ids.ones_like(), types, None, &pass).unwrap().logits;
    assert_eq!(difference(&logits(Some(&ids.ones_like())), &logits(None)), 0.0);
}

#[test]
fn a_config_is_refused_by_the_keys_of_its_architecture() {
    let refusal = |case: &str, edit: fn(&mut Value)| {
        let folder = head_folder_copy(case);
        edit_config(folder.path(), edit);
        BertForTokenClassification::from_pretrained(folder.path(), Device::Cpu).unwrap_err().to_string()
    };
    for (message, wanted) in [
        (refusal("distilbert/token", |config| config["dim"] = json!("16")), "`dim`: invalid type"),
        (
            refusal("distilbert/token", |config| config["n_heads"] = json!(3)),
            "dim 16 must be a multiple of n_heads 3",
        ),
        (refusal("distilbert/token", |config| config["qa_dropout"] = json!(1.5)), "qa_dropout is 1.5"),
        (refusal("distilbert/token", |config| config["n_layers"] = json!(1)), "but n_layers is 1"),
        (refusal("roberta/token", |config| config["pad_token_id"] = Value::Null), "pad_token_id is null"),
        (
            refusal("roberta/token", |config| config["pad_token_id"] = json!(11)),
            "first token has position 12",
        ),
        (
            refusal("roberta/token", |config| config["problem_type"] = json!("ranking")),
            "`problem_type`: unknown",
        ),
    ] {
        assert!(message.contains(wanted), "the message lacks `{wanted}`:\n{message}");
    }
}

// 12 embeddings of positions, of which RoBERTa leaves the first two, 0 and that of padding.
#[test]
fn a_roberta_has_room_for_fewer_tokens_than_positions() {
    let model =
        BertForTokenClassification::from_pretrained(head_folder("roberta/token"), Device::Cpu).unwrap();
    assert_eq!(model.config().longest(), 10);
    let pass = Pass::evaluation(Wants::nothing());
    let run = |length: i64| {
        let ids = Tensor::full([1, length], 5, (Kind::Int64, Device::Cpu));
        model.forward(&ids, &ids.ones_like(), None, None, &pass)
    };
    assert_eq!(run(10).unwrap().logits.size(), [1, 10, 5]);
    let message = run(11).unwrap_err().to_string();
    assert!(message.contains("11 tokens, more than the 10"), "{message}");
}
