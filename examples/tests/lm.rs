//! The program `lm`: what it prints, and what it says of mistakes.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn score(model: &str, ids: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lm"));
    command.current_dir(root).args(["score", "--model", model, "--ids", ids]).output().unwrap()
}

const SMALL: &str = "tests/fixtures/gguf/llama.gguf";
const SMOLLM2: &str = ".brew/models/SmolLM2-135M-Instruct/Q4_1.gguf";

// transformers 5.24.0, float32, one thread, with the numbers of the same file.
#[test]
fn tokens_are_scored_as_transformers_scores_them() {
    let ids = "504,3575,282,4649,314,7042,28,284,260,3575,282,7158,314,7268,30,4643,36411,418,582,3822,5027,20590,30";
    let output = score(SMOLLM2, ids);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}; without the model run `cargo xtask setup` first");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nll = printed["nll"].as_f64().unwrap();
    assert!((nll - 2.578_036).abs() < 1e-5, "{nll}");
    assert_eq!(printed["last"].as_array().unwrap().len(), 49_152);
}

#[test]
fn mistakes_are_named() {
    for (model, ids, wanted) in [
        (SMALL, "3", "--ids needs at least two ids"),
        (SMALL, "3,288", "id 288, number 2 of --ids, is not in the model's vocabulary: ids are 0 to 287"),
        (SMALL, "-1,3", "ids are 0 to 287"),
        (SMALL, &vec!["1"; 129].join(","), "--ids has 129 ids, and the model has 128 positions"),
        ("no/such/folder", "1,2", "no/such/folder: the folder does not exist"),
    ] {
        let output = score(model, ids);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(wanted), "the message lacks `{wanted}`:\n{said}");
        assert!(output.stdout.is_empty());
    }
}

/// Distils the small model on 60 texts, with the defaults of this test where `more` has nothing else.
fn distil(folder: &Path, more: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let texts = folder.join("texts.tsv");
    if !texts.exists() {
        let rows: String = (0..60).map(|row| format!("the {row}th film is {}\n", row * 7 % 60)).collect();
        std::fs::write(&texts, format!("sentence\n{rows}")).unwrap();
    }
    let data = format!("{}:sentence", texts.display());
    let [run, report] = ["run", "report.json"].map(|name| folder.join(name).display().to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_lm"));
    command.current_dir(root).args(["distil", "--steps", "4", "--every", "2", "--data", &data]);
    let defaults = [
        ("--teacher", SMALL),
        ("--layers", "1"),
        ("--length", "32"),
        ("--run-dir", &run),
        ("--report", &report),
    ];
    for (name, value) in defaults.into_iter().filter(|(name, _)| !more.contains(name)) {
        command.args([name, value]);
    }
    command.args(more).output().unwrap()
}

#[test]
fn a_smaller_model_is_distilled_from_distributions_from_their_largest_and_from_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("{}:sentence", folder.path().join("texts.tsv").display());
    for more in [
        &["--fresh"][..],
        &["--fresh", "--top-k", "5"],
        &["--fresh", "--top-k", "9"],
        &["--fresh", "--from", "tokens"],
    ] {
        let output = distil(folder.path(), more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{more:?}: {said}");
        let report = std::fs::read(folder.path().join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["steps"], 4, "{report}");
        for who in ["teacher", "student before", "student after"] {
            let nll = report["nll"][who][&data].as_f64().unwrap();
            assert!((3.0..9.0).contains(&nll), "{report}");
        }
        assert_eq!(report["curve"].as_array().unwrap().len(), 2, "{report}");
        assert!(folder.path().join("run/student/config.json").is_file());
    }
}

#[test]
fn what_cannot_be_distilled_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let chat = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    std::fs::write(path("chats.jsonl"), format!("{chat}\n").repeat(3)).unwrap();
    let (chats, again) =
        (format!("{}:messages", path("chats.jsonl")), format!("{}:sentence", path("texts.tsv")));
    std::fs::create_dir(path("earlier")).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SMALL), path("earlier/small.gguf"))
        .unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["--layers", "3"], "--layers is 3, and the teacher has 2 layers"),
        (&["--length", "129"], "--length is 129, and the teacher has 128 positions"),
        (&["--length", "1"], "'--length <N>'"),
        (&["--top-k", "289"], "--top-k is 289, and the teacher has 288 tokens in its vocabulary"),
        (
            &["--labels", "nan", "--lr", "-1"],
            "--lr is -1; it must be a number above 0; --labels is NaN; it must be a number of at least 0",
        ),
        (&["--from", "tokens", "--top-k", "4"], "--top-k says how the teacher teaches"),
        (&["--data", "no/such/file.tsv"], "no/such/file.tsv"),
        (&["--data", "data/movie_reviews.parquet:review"], "review"),
        (&["--data", &chats], "the column holds lists of objects"),
        (&["--data", &again], "0 texts that are neither empty nor repeated; at least 2 are needed"),
        (
            &["--teacher", &path("earlier/small.gguf"), "--run-dir", &path("earlier")],
            "the teacher is in the folder of --run-dir",
        ),
        (&["--report", &path("texts.tsv/report.json")], "texts.tsv/report.json"),
    ];
    for (more, wanted) in cases {
        let output = distil(folder.path(), more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(wanted),
            "{more:?} does not say `{wanted}`:\n{said}"
        );
        assert!(!said.contains("panicked"), "{said}");
        assert!(!folder.path().join("run/checkpoints").exists(), "{more:?} trained");
    }
}

// Files are limited to 64 KiB, as on a full disk; the student alone has more.
#[test]
fn a_student_that_cannot_be_written_is_an_error_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts.tsv");
    std::fs::write(&texts, format!("text\n{}", "a fine film\nnot so fine\nthe end of it\n".repeat(3)))
        .unwrap();
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_lm")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["distil", "--teacher", SMALL, "--layers", "1", "--length", "16", "--steps", "2"])
        .arg("--data")
        .arg(&texts)
        .arg("--run-dir")
        .arg(folder.path().join("run"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && !out.contains("the student is in"), "{said}\n{out}");
    assert!(said.contains("the student was trained, and its folder cannot be used"), "{said}");
}

#[test]
fn a_chat_that_is_not_json_says_how_to_write_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (chat, wanted) in [
        ("[oops] hello", "--chat begins with a bracket, so it is read as JSON"),
        (r#"{"role": "user", "content": "hi"}"#, r#"as [{"role": "user", "content": "…"}]"#),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lm"));
        let output =
            command.current_dir(&root).args(["generate", "--model", SMALL, "--chat", chat]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(wanted), "{said}");
    }
}
