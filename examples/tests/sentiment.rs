//! The program `sentiment` as a user calls it, on an encoder of two tiny layers.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs all stages on forty reviews: whether it ended well, and what it said.
fn sentiment(run_dir: &Path, arguments: &[&str]) -> (bool, String) {
    let data = run_dir.with_extension("tsv");
    let review =
        |row: usize| format!("{row}\t{}\ta {} film\n", row as i64 % 2 * 2 - 1, ["bad", "good"][row % 2]);
    std::fs::write(&data, (0..40).map(review).collect::<String>()).unwrap();
    let encoder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "encoder"].iter().collect();
    let output = Command::new(env!("CARGO_BIN_EXE_sentiment"))
        .args([Path::new("--minilm"), &encoder, Path::new("--data"), &data])
        .args([Path::new("--run-dir"), run_dir])
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn settings_that_cannot_work_are_refused_together_before_the_teacher_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let report = folder.path().join("report.json");
    std::fs::write(&report, "not JSON").unwrap();
    let report = report.to_str().unwrap();
    let wrong = ["--temperature", "0", "--epochs", "0", "--lr=-1", "--report", report];
    let (well, said) =
        sentiment(&run_dir, &wrong.iter().copied().chain(["--layers", "1"]).collect::<Vec<_>>());
    assert!(!well, "{said}");
    for part in ["temperature", "`epochs` is 0", "learning rate", "not a report of this program"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (well, said) = sentiment(&run_dir, &["--layers", "3"]);
    assert!(!well && said.contains("--layers is 3, and the teacher has 2"), "{said}");
    assert!(!run_dir.join("teacher").exists(), "a teacher was trained: {said}");
}

#[test]
fn all_stages_run_to_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--layers", "1", "--epochs", "1", "--teacher-epochs", "1", "--max-length", "16"];
    let (well, said) = sentiment(&folder.path().join("run"), &arguments);
    assert!(well && said.contains("agrees with the teacher"), "{said}");
}
