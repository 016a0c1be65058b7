//! Encoders without a head: loaded from any folder, saved as transformers' `AutoModel` reads them.

use std::collections::BTreeSet;

use brew_core::model::{Architecture, BertConfig, BertForMaskedLm, BertModel};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::read_tensors;

use super::support::{
    difference, head_folder, masked_batch, masked_folder, masked_golden, recorded, token_batch,
};

fn names(folder: &std::path::Path) -> BTreeSet<String> {
    read_tensors(&folder.join("model.safetensors")).into_keys().collect()
}

fn states(model: &BertModel, ids: &Tensor, mask: &Tensor, types: Option<&Tensor>) -> Vec<Tensor> {
    model
        .forward(ids, mask, types, &Pass::evaluation(Wants::nothing().and_role("hidden")))
        .unwrap()
        .hidden_states
}

#[test]
fn the_encoder_of_any_folder_computes_what_it_computed_under_its_head() {
    for architecture in ["bert", "roberta", "distilbert"] {
        let golden = masked_golden(architecture);
        let batch = masked_batch(&golden);
        let model = BertModel::from_pretrained(masked_folder(architecture), Device::Cpu).unwrap();
        let found = states(&model, &batch.input_ids, &batch.attention_mask, batch.token_type_ids.as_ref());
        for (layer, state) in found.iter().enumerate() {
            let off = difference(state, &golden[&format!("hidden.{layer}")]);
            assert!(off < 1e-5, "{architecture}: hidden.{layer} is off by {off:e}");
        }
        let case = format!("{architecture}/token");
        let golden = recorded(&case);
        let batch = token_batch(&golden);
        let model = BertModel::from_pretrained(head_folder(&case), Device::Cpu).unwrap();
        let found = states(&model, &batch.input_ids, &batch.attention_mask, batch.token_type_ids.as_ref());
        assert!(difference(&found[2], &golden["hidden.2"]) < 1e-5, "{case}");
    }
}

// `AutoModel.from_pretrained` of transformers 5.24.0 writes an encoder without its prefix, with a pooler except in a
// DistilBERT; the fixture `bert_encoder` has the names behind sentence-transformers' prefix.
#[test]
fn an_encoder_is_saved_without_its_prefix_and_is_read_again() {
    for (architecture, class, pooler) in [
        (Architecture::Bert, "BertModel", true),
        (Architecture::Roberta, "RobertaModel", true),
        (Architecture::XlmRoberta, "XLMRobertaModel", true),
        (Architecture::DistilBert, "DistilBertModel", false),
    ] {
        let config = BertConfig {
            vocab_size: 30,
            hidden_size: 8,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            intermediate_size: 12,
            max_position_embeddings: 16,
            initializer_range: 0.3,
            ..BertConfig::base(architecture)
        };
        let model = BertModel::new(config, 3, Device::Cpu).unwrap();
        let student = BertModel::from_layers_of(&model, Keep::layers([0, 2])).unwrap();
        let folder = TempDir::new().unwrap();
        student.save(folder.path()).unwrap();
        let saved = names(folder.path());
        assert!(saved.contains("embeddings.word_embeddings.weight"), "{saved:?}");
        assert_eq!(saved.contains("pooler.dense.weight"), pooler, "{saved:?}");
        let body = if pooler { "encoder.layer." } else { "transformer.layer." };
        assert!(
            saved
                .iter()
                .all(|name| ["embeddings.", "pooler.", body].iter().any(|start| name.starts_with(start)))
        );
        let config: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(config["architectures"], json!([class]));
        let read = BertModel::from_pretrained(folder.path(), Device::Cpu).unwrap();
        let ids = Tensor::from_slice2(&[[5_i64, 9, 20], [7, 8, 29]]);
        let mask = ids.ones_like();
        let last = |model: &BertModel| states(model, &ids, &mask, None).pop().unwrap();
        assert_eq!(difference(&last(&read), &last(&student)), 0.0, "{architecture:?}");
        // And it is an encoder for any task.
        BertForSequenceClassification::from_encoder(folder.path(), 2, 1, Device::Cpu).unwrap();
        BertForMaskedLm::from_encoder(folder.path(), 1, Device::Cpu).unwrap();
    }
}

#[test]
fn an_encoder_that_was_stored_without_a_pooler_gets_none() {
    let model = BertModel::from_pretrained(masked_folder("bert"), Device::Cpu).unwrap();
    let folder = TempDir::new().unwrap();
    model.save(folder.path()).unwrap();
    assert!(names(folder.path()).iter().all(|name| !name.contains("pooler") && !name.contains("cls.")));
    assert_eq!(model.class_names(), None);
}
