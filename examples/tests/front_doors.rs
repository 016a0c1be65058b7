//! Every example runs from its data to its table, with tiny random models on a few rows, and reports mistakes clearly.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use brew_core::tch::{Device, Kind, Tensor};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A BERT of two layers of width 8 with random weights, and the real tokenizer.
fn encoder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = root().join(".brew/models/all-MiniLM-L6-v2/tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let config = r#"{"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 192, "vocab_size": 30522}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    brew_core::tch::manual_seed(7);
    let mut named: Vec<(String, Tensor)> = Vec::new();
    let mut add = |name: String, shape: &[i64]| {
        named.push((name, 0.02 * Tensor::randn(shape, (Kind::Float, Device::Cpu))));
    };
    for (name, rows) in [("word", 30522), ("position", 192), ("token_type", 2)] {
        add(format!("bert.embeddings.{name}_embeddings.weight"), &[rows, 8]);
    }
    let mut parts =
        vec![("embeddings.LayerNorm".to_owned(), vec![8]), ("pooler.dense".to_owned(), vec![8, 8])];
    for layer in 0..2 {
        for (name, shape) in [
            ("attention.self.query", vec![8, 8]),
            ("attention.self.key", vec![8, 8]),
            ("attention.self.value", vec![8, 8]),
            ("attention.output.dense", vec![8, 8]),
            ("attention.output.LayerNorm", vec![8]),
            ("intermediate.dense", vec![16, 8]),
            ("output.dense", vec![8, 16]),
            ("output.LayerNorm", vec![8]),
        ] {
            parts.push((format!("encoder.layer.{layer}.{name}"), shape));
        }
    }
    for (name, shape) in parts {
        add(format!("bert.{name}.weight"), &shape);
        add(format!("bert.{name}.bias"), &shape[..1]);
    }
    Tensor::write_safetensors(&named, folder.path().join("model.safetensors")).unwrap();
    folder
}

fn run(program: &str, arguments: &[&str], encoder: &Path, run_dir: &Path) -> Output {
    Command::new(program)
        .current_dir(root())
        .args(["--epochs", "1", "--teacher-epochs", "1", "--layers", "1", "--batch", "8"])
        .arg("--encoder")
        .arg(encoder)
        .arg("--run-dir")
        .arg(run_dir)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs an example, which must print these rows and leave a student.
#[track_caller]
fn assert_compares(program: &str, arguments: &[&str], rows: &[&str]) {
    let (encoder, run_dir) = (encoder(), tempfile::tempdir().unwrap());
    let output = run(program, arguments, encoder.path(), run_dir.path());
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for row in rows {
        assert!(text.lines().any(|line| line.starts_with(&format!("│ {row} "))), "no row {row} in\n{text}");
    }
    assert!(run_dir.path().join("student/model.safetensors").is_file(), "{text}");
}

#[test]
fn ner_compares_three_taggers() {
    let rows = ["teacher", "plain student", "distilled student"];
    assert_compares(env!("CARGO_BIN_EXE_ner"), &["--limit", "24", "--max-length", "24"], &rows);
}

#[test]
fn spans_compares_three_readers() {
    let rows = ["teacher", "plain student", "distilled student"];
    let arguments = ["--articles", "2", "--max-length", "96", "--stride", "16"];
    assert_compares(env!("CARGO_BIN_EXE_spans"), &arguments, &rows);
}

#[test]
fn bigru_compares_a_bert_and_two_bigrus() {
    let rows = ["teacher", "plain BiGRU", "distilled BiGRU"];
    assert_compares(env!("CARGO_BIN_EXE_bigru"), &["--sample", "32", "--hidden", "4"], &rows);
}

#[test]
fn ensemble_compares_its_teachers_and_two_students() {
    let rows = ["teacher 0", "teacher 1", "plain student", "distilled student"];
    assert_compares(env!("CARGO_BIN_EXE_ensemble"), &["--sample", "32", "--teachers", "2"], &rows);
}

#[test]
fn tasks_compares_two_teachers_and_two_students() {
    let rows = ["movie teacher", "product teacher", "plain student", "distilled student"];
    assert_compares(env!("CARGO_BIN_EXE_tasks"), &["--sample", "32"], &rows);
}

#[test]
fn torchscript_traces_a_teacher_where_python_can() {
    let Ok(python) = std::env::var("BREW_PYTHON") else {
        eprintln!("skipped: BREW_PYTHON names no Python with torch and transformers");
        return;
    };
    let rows = ["TorchScript teacher", "plain student", "distilled student"];
    let arguments = ["--sample", "32", "--python", &python];
    assert_compares(env!("CARGO_BIN_EXE_torchscript"), &arguments, &rows);
}

#[test]
fn torchscript_says_at_once_that_python_has_no_torch() {
    let (encoder, run_dir) = (encoder(), tempfile::tempdir().unwrap());
    let arguments = ["--python", "no-such-python"];
    let output = run(env!("CARGO_BIN_EXE_torchscript"), &arguments, encoder.path(), run_dir.path());
    assert!(!output.status.success());
    assert!(text(&output).contains("`no-such-python` has no torch and transformers"), "{}", text(&output));
    assert!(!text(&output).contains("training and"), "it said so too late: {}", text(&output));
}

#[test]
fn a_student_whose_layers_do_not_divide_the_teachers_is_refused() {
    let (encoder, run_dir) = (encoder(), tempfile::tempdir().unwrap());
    let arguments = ["--limit", "16", "--layers", "3"];
    let output = run(env!("CARGO_BIN_EXE_ner"), &arguments, encoder.path(), run_dir.path());
    assert!(!output.status.success());
    let text = text(&output);
    assert!(text.contains("error: ") && text.contains("layers"), "{text}");
}
