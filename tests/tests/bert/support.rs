//! The recorded teacher and its first batch, and folders to spoil.

use std::fs;
use std::path::Path;

use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tests::{read_tensors, trajectory};

/// The teacher of the recorded run.
pub(crate) fn teacher() -> BertForSequenceClassification {
    load(&trajectory("teacher"))
}

/// Loads a folder that is in order.
pub(crate) fn load(folder: &Path) -> BertForSequenceClassification {
    BertForSequenceClassification::from_pretrained(folder, Device::Cpu).expect("the folder loads")
}

/// The message with which a folder is refused.
pub(crate) fn refusal(folder: &Path) -> String {
    let refused = BertForSequenceClassification::from_pretrained(folder, Device::Cpu);
    refused.expect_err("the folder is refused").to_string()
}

/// A micro-batch of the recorded run.
pub(crate) fn batch(number: i64) -> TextBatch {
    let columns = read_tensors(&trajectory("batches.safetensors"));
    TextBatch {
        input_ids: columns["input_ids"].get(number),
        attention_mask: columns["attention_mask"].get(number),
        token_type_ids: None,
        labels: Some(columns["labels"].get(number)),
    }
}

/// Runs a model.
pub(crate) fn run(
    model: &BertForSequenceClassification,
    batch: &TextBatch,
    pass: &Pass,
) -> Result<ClassifierOutput> {
    let (types, labels) = (batch.token_type_ids.as_ref(), batch.labels.as_ref());
    model.forward(&batch.input_ids, &batch.attention_mask, types, labels, pass)
}

/// The logits of the first recorded batch.
pub(crate) fn logits(model: &BertForSequenceClassification) -> Tensor {
    run(model, &batch(0), &Pass::evaluation(Wants::nothing())).expect("the model runs").logits
}

/// The largest difference between two tensors of one shape.
pub(crate) fn difference(left: &Tensor, right: &Tensor) -> f64 {
    assert_eq!(left.size(), right.size());
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// A copy of the recorded teacher's folder.
pub(crate) fn copy_of_teacher() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(trajectory("teacher").join(name), folder.path().join(name)).expect("a copy");
    }
    folder
}

/// Changes the config of a folder.
pub(crate) fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("a config")).expect("JSON");
    edit(&mut config);
    fs::write(path, config.to_string()).expect("a config");
}
