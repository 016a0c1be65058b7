//! The files of `fixtures/gguf`, and what is done with every model.

use std::path::{Path, PathBuf};
use std::process::Command;

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tests::printed_json;

/// A file beside `make.py`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gguf").join(name)
}

/// A model for the CPU.
pub(crate) fn open(path: &Path) -> DecoderForCausalLm {
    DecoderForCausalLm::from_pretrained(path, Device::Cpu).unwrap()
}

/// Logits of one row of tokens, `(1, length, tokens)`.
pub(crate) fn logits(model: &DecoderForCausalLm, ids: &[i64]) -> Tensor {
    let ids = Tensor::from_slice(ids).unsqueeze(0);
    model.logits(&ids, &ids.ones_like()).unwrap()
}

/// What transformers says of a folder that brew saved.
#[derive(Debug, Deserialize)]
pub(crate) struct Read {
    pub(crate) problems: Vec<String>,
    /// How far its logits are from brew's, relative to the largest.
    pub(crate) off: f64,
    pub(crate) ids: Vec<Vec<u32>>,
    pub(crate) chat: String,
    pub(crate) eos: Value,
}

/// Puts beside a saved model what transformers is to do with it: logits of these tokens, ids of these texts, and one
/// question.
pub(crate) fn ask((folder, model): (&Path, &DecoderForCausalLm), ids: &[i64], texts: &[&str]) {
    let row = Tensor::from_slice(ids).unsqueeze(0);
    let ours = [("ids", &row), ("logits", &logits(model, ids))];
    Tensor::write_safetensors(&ours, folder.join("ours.safetensors")).unwrap();
    let chat = serde_json::json!([{ "role": "user", "content": QUESTION }]);
    let asked = serde_json::json!({ "texts": texts, "chat": chat });
    std::fs::write(folder.join("asked.json"), asked.to_string()).unwrap();
}

/// Lets transformers read saved folders.
pub(crate) fn read_by_transformers(python: &str, folders: &[&Path]) -> Vec<Read> {
    printed_json(Command::new(python).arg(fixture("make.py")).arg("read").args(folders))
}

/// The question that is put to chat templates.
pub(crate) const QUESTION: &str = "What is the capital of France?";
