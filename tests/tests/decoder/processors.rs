//! The processors of scores against those of transformers, in its order: random scores with ties, random settings.

use std::path::Path;

use brew_core::generate::GenerationConfig;
use brew_core::prelude::*;
use tempfile::TempDir;
use tests::{Sweep, python, read_tensors, say};

/// Compares the scores of these cases, whose tensors the folder has.
fn compare(cases: &[GenerationConfig], folder: &Path) {
    let tensors = read_tensors(&folder.join("processors.safetensors"));
    for (number, config) in cases.iter().enumerate() {
        let [logits, used, theirs] =
            ["logits", "used", "scores"].map(|name| &tensors[&format!("{number}.{name}")]);
        let ours = config.scores(logits, Some(&used.ne(0))).unwrap();
        let [kept, wanted] = [&ours, theirs].map(Tensor::isfinite);
        assert!(kept == wanted, "case {number} keeps other tokens: {config}");
        let [ours, theirs] = [&ours, theirs].map(|scores| scores.softmax(-1, Kind::Double));
        let off = (ours - theirs).abs().max().double_value(&[]);
        assert!(off < 1e-6, "case {number}: off by {off:e}: {config}");
    }
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/generation/processors.py")
}

#[test]
fn scores_are_those_that_transformers_gave() {
    let folder = script().parent().unwrap().to_owned();
    let cases = std::fs::read(folder.join("processors.json")).unwrap();
    let cases: Vec<GenerationConfig> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 16);
    compare(&cases, &folder);
}

#[test]
fn a_sweep_of_settings_gives_the_scores_of_transformers() {
    let test = "a_sweep_of_settings_gives_the_scores_of_transformers";
    let Some(python) = python(test, "import torch, transformers, safetensors") else { return };
    let folder = TempDir::new().unwrap();
    let script = script();
    let sweep = Sweep { python: &python, script: &script, folder: folder.path() };
    let cases: Vec<GenerationConfig> = sweep.make("100");
    compare(&cases, folder.path());
    say(test, &format!("{} settings keep the same tokens", cases.len()));
}
