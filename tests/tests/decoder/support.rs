//! The small models of `fixtures/decoders`, and how far numbers are from those of transformers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tests::{off, read_tensors};

/// The architectures, by the names of their folders.
pub(crate) const ALL: [&str; 8] =
    ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gpt2", "gemma2", "gemma3"];

/// Columns of a batch, and golden values, by name.
pub(crate) type Columns = BTreeMap<String, Tensor>;

/// The folder of a small model.
pub(crate) fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decoders").join(case)
}

/// A small model.
pub(crate) fn load(case: &str) -> DecoderForCausalLm {
    DecoderForCausalLm::from_pretrained(fixture(case), Device::Cpu).expect("the folder loads")
}

/// The inputs of a small model and what transformers computes of them.
pub(crate) fn recorded(case: &str) -> Columns {
    read_tensors(&fixture(case).join("golden.safetensors"))
}

/// A copy of a small model's folder, to spoil.
pub(crate) fn copy_of(case: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for entry in fs::read_dir(fixture(case)).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
    }
    folder
}

/// Changes the config of a folder.
pub(crate) fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config = config_of(folder);
    edit(&mut config);
    fs::write(path, config.to_string()).expect("a config");
}

/// The config of a folder.
pub(crate) fn config_of(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).expect("a config")).expect("JSON")
}

/// The message with which a folder is refused.
pub(crate) fn refusal(folder: &Path) -> String {
    let refused = DecoderForCausalLm::from_pretrained(folder, Device::Cpu);
    refused.expect_err("the folder is refused").to_string()
}

/// The largest difference between two tensors of one shape.
pub(crate) fn difference(left: &Tensor, right: &Tensor) -> f64 {
    assert_eq!(left.size(), right.size());
    if left.numel() == 0 {
        return 0.0;
    }
    (left.to_kind(Kind::Double) - right.to_kind(Kind::Double)).abs().max().double_value(&[])
}

/// How far numbers are from those of transformers at the tokens of a mask only, of tensors `(batch, length, …)`: nobody reads what padding gives.
pub(crate) fn off_at_tokens(ours: &Tensor, theirs: &Tensor, mask: &Tensor) -> f64 {
    let tokens = mask.flatten(0, 1).nonzero().squeeze_dim(1);
    let [ours, theirs] = [ours, theirs].map(|side| side.flatten(0, 1).index_select(0, &tokens));
    off(&ours, &theirs)
}
