//! The program of docs/language-models.md: that the page shows it, and that it makes a student.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_page_shows_the_program() {
    let page = fs::read_to_string(root().join("docs/language-models.md")).unwrap();
    let source = fs::read_to_string(root().join("examples/src/bin/shrink.rs")).unwrap();
    let program = &source[source.find("use ").unwrap()..];
    assert!(
        page.contains(&format!("```rust\n{program}```\n")),
        "docs/language-models.md shows something else"
    );
    assert!(program.lines().count() <= 60, "{}", program.lines().count());
}

#[test]
fn a_model_of_two_layers_becomes_one_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        ["a fine film", "dull", "the actors know what they do", "I left before the end", "see it twice"];
    let texts: String = (0..60).map(|row| format!("{}. {}!\n", words[row % 5], words[row * 3 % 5])).collect();
    fs::write(folder.path().join("texts.tsv"), format!("text\n{texts}")).unwrap();
    let model = fs::canonicalize(root().join("tests/fixtures/gguf/llama.gguf")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_shrink"))
        .current_dir(folder.path())
        .arg(model)
        .arg("texts.tsv")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let student = DecoderForCausalLm::from_pretrained(folder.path().join("runs/shrink/student"), Device::Cpu);
    assert_eq!(student.unwrap().config().num_hidden_layers, 1);
    let perplexities: Vec<f64> = fs::read_to_string(folder.path().join("runs/shrink/metrics.jsonl"))
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["perplexity"].as_f64())
        .collect();
    assert_eq!(perplexities.len(), 3, "{said}");
    assert!(perplexities[2] < perplexities[0], "{perplexities:?}");
}
