//! The recorded teacher and its first batch, the small models of all heads, and folders to spoil.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use brew_core::model::{ClassifierOutput, MaskedLmBatch, SpanBatch, TokenBatch};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tests::{read_tensors, recorded_batches, trajectory};

/// The teacher of the recorded run.
pub(crate) fn teacher() -> BertForSequenceClassification {
    load(&trajectory("teacher"))
}

/// Loads a valid folder.
pub(crate) fn load(folder: &Path) -> BertForSequenceClassification {
    BertForSequenceClassification::from_pretrained(folder, Device::Cpu).expect("the folder loads")
}

/// The message with which a folder is rejected.
pub(crate) fn refusal(folder: &Path) -> String {
    let refused = BertForSequenceClassification::from_pretrained(folder, Device::Cpu);
    refused.expect_err("the folder is refused").to_string()
}

/// A micro-batch of the recorded run.
pub(crate) fn batch(number: i64) -> TextBatch {
    recorded_batches(&trajectory(""), number + 1).pop().expect("the recorded batch is there")
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

/// Requests everything that a model can return.
pub(crate) fn everything() -> Wants {
    Wants::nothing().and_role("hidden").and_role("attention").and_role("losses")
}

/// A copy of the recorded teacher's folder.
pub(crate) fn copy_of_teacher() -> TempDir {
    copy_of(&trajectory("teacher"))
}

fn copy_of(source: &Path) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(source.join(name), folder.path().join(name)).expect("a copy");
    }
    folder
}

/// A small model of `fixtures/heads`, such as `roberta/token`.
pub(crate) fn head_folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads").join(case)
}

/// A copy of a small model's folder.
pub(crate) fn head_folder_copy(case: &str) -> TempDir {
    copy_of(&head_folder(case))
}

/// A small masked language model of `fixtures/masked`.
pub(crate) fn masked_folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/masked").join(case)
}

/// A copy of a small masked language model's folder.
pub(crate) fn masked_folder_copy(case: &str) -> TempDir {
    copy_of(&masked_folder(case))
}

/// The inputs of a small masked language model and what transformers computes of them.
pub(crate) fn masked_golden(case: &str) -> Columns {
    read_tensors(&masked_folder(case).join("golden.safetensors"))
}

/// The recorded batch of a masked language model.
pub(crate) fn masked_batch(columns: &Columns) -> MaskedLmBatch {
    MaskedLmBatch {
        input_ids: columns["input_ids"].shallow_clone(),
        attention_mask: columns["attention_mask"].shallow_clone(),
        token_type_ids: optional(columns, "token_type_ids"),
        labels: optional(columns, "labels"),
    }
}

/// The inputs of a small model and what transformers computes of them.
pub(crate) fn recorded(case: &str) -> Columns {
    read_tensors(&head_folder(case).join("golden.safetensors"))
}

/// Changes the config of a folder.
pub(crate) fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("a config")).expect("JSON");
    edit(&mut config);
    fs::write(path, config.to_string()).expect("a config");
}

/// Columns of a batch, and golden values, by name.
pub(crate) type Columns = BTreeMap<String, Tensor>;

/// A column that a recording may lack.
pub(crate) fn optional(columns: &Columns, name: &str) -> Option<Tensor> {
    columns.get(name).map(Tensor::shallow_clone)
}

/// The recorded batch of a model that classifies tokens.
pub(crate) fn token_batch(columns: &Columns) -> TokenBatch {
    TokenBatch {
        input_ids: columns["input_ids"].shallow_clone(),
        attention_mask: columns["attention_mask"].shallow_clone(),
        token_type_ids: optional(columns, "token_type_ids"),
        labels: optional(columns, "labels"),
    }
}

/// The recorded batch of a model that answers questions.
pub(crate) fn span_batch(columns: &Columns) -> SpanBatch {
    SpanBatch {
        input_ids: columns["input_ids"].shallow_clone(),
        attention_mask: columns["attention_mask"].shallow_clone(),
        token_type_ids: optional(columns, "token_type_ids"),
        start_positions: optional(columns, "start_positions"),
        end_positions: optional(columns, "end_positions"),
    }
}
