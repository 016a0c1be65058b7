//! Frozen embeddings and layers, in each architecture.

use brew_core::model::BertForTokenClassification;
use brew_core::prelude::*;

use super::support::{everything, head_folder, recorded};

fn tagger(architecture: &str) -> BertForTokenClassification {
    let folder = head_folder(&format!("{architecture}/token"));
    BertForTokenClassification::from_pretrained(folder, Device::Cpu).unwrap()
}

/// The parameters that a backward pass gives no gradient.
fn without_gradient(architecture: &str, model: &BertForTokenClassification) -> Vec<String> {
    let columns = recorded(&format!("{architecture}/token"));
    let (ids, mask, labels) = (&columns["input_ids"], &columns["attention_mask"], &columns["labels"]);
    let pass = Pass::training(0, everything());
    model.forward(ids, mask, None, Some(labels), &pass).unwrap().loss.unwrap().backward();
    let parameters = model.parameters();
    let frozen = parameters.iter().filter(|(_, tensor)| !tensor.grad().defined());
    frozen.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn frozen_parts_get_no_gradient_and_the_others_do() {
    let _alone = tests::alone();
    for (architecture, layer) in [
        ("bert", "bert.encoder.layer.0."),
        ("roberta", "roberta.encoder.layer.0."),
        ("distilbert", "distilbert.transformer.layer.0."),
    ] {
        assert_eq!(without_gradient(architecture, &tagger(architecture)), [""; 0]);

        let model = tagger(architecture).freeze_embeddings().unwrap();
        let frozen = without_gradient(architecture, &model);
        let tables = if architecture == "distilbert" { 2 } else { 3 };
        assert_eq!(frozen.len(), tables + 2, "{frozen:?}");
        assert!(frozen.iter().all(|name| name.starts_with(&format!("{architecture}.embeddings."))));

        let model = tagger(architecture).freeze_layers(1).unwrap();
        let frozen = without_gradient(architecture, &model);
        assert_eq!(frozen.len(), 16);
        assert!(frozen.iter().all(|name| name.starts_with(layer)), "{frozen:?}");
    }
}

#[test]
fn all_that_is_below_the_head_can_be_frozen() {
    let model = tagger("bert").freeze_embeddings().unwrap().freeze_layers(2).unwrap();
    let learning: Vec<_> = model
        .parameters()
        .iter()
        .filter(|(_, tensor)| tensor.requires_grad())
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(learning, ["classifier.bias", "classifier.weight"]);
}

#[test]
fn a_student_of_a_frozen_model_learns_in_all_its_parts() {
    let teacher = tagger("bert").freeze_embeddings().unwrap().freeze_layers(2).unwrap();
    let student = BertForTokenClassification::from_layers_of(&teacher, Keep::first(1)).unwrap();
    assert!(student.parameters().iter().all(|(_, tensor)| tensor.requires_grad()));
    assert!(teacher.parameters().iter().any(|(_, tensor)| !tensor.requires_grad()));
}

#[test]
fn more_layers_than_there_are_cannot_be_frozen() {
    let message = tagger("distilbert").freeze_layers(3).unwrap_err().to_string();
    assert_eq!(message, "cannot freeze 3 layers: the model has 2");
}
