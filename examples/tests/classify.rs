//! The program `classify` as a user calls it, on an encoder of two tiny layers.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::path::{Path, PathBuf};
use std::process::Command;

use brew_core::tch::Device;
use brew_data::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// The word of each class's texts, and its name.
const CLASSES: [(&str, &str); 4] = [("good", "warm"), ("bad", "cold"), ("great", "hot"), ("boring", "dull")];

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

/// A run's folder, and whether the program ended well and what it said.
struct Ran {
    folder: TempDir,
    well: bool,
    said: String,
}

impl Ran {
    fn report(&self) -> Value {
        assert!(self.well, "{}", self.said);
        serde_json::from_slice(&std::fs::read(self.folder.path().join("report.json")).unwrap()).unwrap()
    }

    #[track_caller]
    fn refused(&self, words: &str) {
        assert!(!self.well && self.said.contains(words), "{}", self.said);
        assert!(
            !self.folder.path().join("run").join("teacher").exists(),
            "a teacher was trained: {}",
            self.said
        );
    }
}

fn classify_from(from: [&str; 2], data: &Path, arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_classify"))
        // Tiny models: threads would only wait for each other.
        .env("OMP_NUM_THREADS", "1")
        .args(from)
        .args([Path::new("--data"), data])
        .args([Path::new("--run-dir"), &folder.path().join("run")])
        .args([Path::new("--report"), &folder.path().join("report.json")])
        .args([
            "--layers",
            "1",
            "--epochs",
            "1",
            "--teacher-epochs",
            "1",
            "--max-length",
            "16",
            "--batch",
            "8",
        ])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Ran { folder, well: output.status.success(), said }
}

fn classify(data: &Path, arguments: &[&str]) -> Ran {
    classify_from(["--encoder", fixture("encoder").to_str().unwrap()], data, arguments)
}

/// Rows of a text and the name of its class: three of each class in turn, so that every tenth row meets all of them.
fn rows(count: usize, row: impl Fn(&str, &str) -> String) -> String {
    (0..count).map(|number| row(CLASSES[number / 3 % 4].0, CLASSES[number / 3 % 4].1) + "\n").collect()
}

fn written(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// 48 rows of CSV.
fn csv() -> String {
    "opinion,mood\n".to_owned() + &rows(48, |word, name| format!("the plot was {word},{name}"))
}

const OF_CSV: [&str; 4] = ["--text", "opinion", "--label", "mood"];

/// The accuracy of a saved model, by its predictions from text.
fn accuracy(model: &Path, rows: &[(String, &str)]) -> f64 {
    let model = TextClassifier::from_pretrained(model, Device::Cpu).unwrap();
    let texts: Vec<&str> = rows.iter().map(|(text, _)| text.as_str()).collect();
    let predicted = model.predict(&texts).unwrap();
    let right = predicted.iter().zip(rows).filter(|(found, (_, name))| found.label == *name).count();
    right as f64 / rows.len() as f64
}

#[test]
fn words_in_a_csv_file_are_four_classes_and_the_report_has_all_three_models() {
    let (_kept, data) = written("opinions.csv", &csv());
    let ran = classify(&data, &OF_CSV);
    let report = ran.report();
    assert!(
        ran.said.contains("43 rows to train on, 5 to judge by; 4 classes: cold, dull, hot, warm"),
        "{}",
        ran.said
    );
    assert_eq!(report["classes"], serde_json::json!(["cold", "dull", "hot", "warm"]));
    let held_out: Vec<(String, &str)> = (0..48)
        .step_by(10)
        .map(|row| (format!("the plot was {}", CLASSES[row / 3 % 4].0), CLASSES[row / 3 % 4].1))
        .collect();
    for (model, folder) in
        [("teacher", "teacher"), ("plain", "plain-seed-0"), ("distilled", "distill-seed-0")]
    {
        let entry = &report[model];
        let saved = ran.folder.path().join("run").join(folder).join("student");
        assert_eq!(entry["accuracy"], accuracy(&saved, &held_out), "{model}");
        for number in ["f1_macro", "agreement", "seconds", "examples_per_second"] {
            assert!(entry[number].is_number(), "{model}: {number}: {report}");
        }
    }
    assert_eq!(report["teacher"]["agreement"], 1.0);
}

#[test]
fn a_folder_of_datasets_is_read_by_its_splits_and_keeps_the_order_of_its_classes() {
    let data = fixture("opinions");
    let ran = classify(&data, &["--text", "text", "--label", "label", "--student-dropout", "0"]);
    let report = ran.report();
    assert_eq!(report["classes"], serde_json::json!(["warm", "cold", "hot", "dull"]));
    assert_eq!((report["training_rows"].as_u64(), report["development_rows"].as_u64()), (Some(32), Some(8)));
    assert!(ran.said.contains("the student's dropout is 0"), "{}", ran.said);

    // The teacher that it trained: words are matched by name, whatever their order; numbers only in the same order.
    let teacher = ran.folder.path().join("run/teacher/student");
    let from = ["--teacher", teacher.to_str().unwrap()];
    let (_kept, words) = written("opinions.csv", &csv());
    let by_words = classify_from(from, &words, &OF_CSV);
    assert_eq!(by_words.report()["classes"], report["classes"]);
    assert!(by_words.report()["teacher"]["seconds"].is_null());
    let by_numbers = classify_from(from, &data, &["--text", "text", "--label", "label", "--limit", "16"]);
    assert_eq!(by_numbers.report()["training_rows"], 16);

    let (kept, turned) = written("unused", "");
    let turned = turned.with_extension("parquet");
    let table = Dataset::open(&words).unwrap();
    let table = table.column("mood").to_classes(["cold", "dull", "hot", "warm"]).as_("mood").unwrap();
    table.write_parquet(&turned).unwrap();
    let refused = classify_from(from, &turned, &OF_CSV);
    refused.refused("the data's classes are `cold`, `dull`, `hot`, `warm`, in this order, and the teacher's are `warm`, `cold`, `hot`, `dull`");
    drop(kept);

    let fewer = "opinion,mood\n".to_owned()
        + &rows(48, |word, name| format!("{word},{}", name.replace("dull", "hot")));
    let (_kept, fewer) = written("fewer.csv", &fewer);
    classify_from(from, &fewer, &OF_CSV).refused("the teacher has 4 classes, of which `dull` have no row");
    let other = csv().replace("dull", "slow");
    let (_kept, other) = written("other.csv", &other);
    classify_from(from, &other, &OF_CSV)
        .refused("there are rows with the labels `slow`, and the teacher's classes are");
}

#[test]
fn labels_that_only_one_part_of_the_data_has_are_refused_before_anything_is_trained() {
    let (_kept, train) = written("train.csv", &csv());
    let (_dev, dev) = written("dev.csv", &csv().replace("dull", "warm"));
    let with =
        |data: &Path, dev: &Path| classify(data, &[&OF_CSV[..], &["--dev", dev.to_str().unwrap()]].concat());
    with(&train, &dev).refused("lacks: `dull` (12 rows). Nothing would judge them");
    with(&dev, &train).refused("lacks: `dull` (12 rows). Nothing would teach them");
}

#[test]
fn rows_without_text_classes_without_rows_and_a_single_class_are_refused() {
    let empty = csv().replacen("the plot was bad,cold", "\"  \",cold", 1);
    let (_kept, data) = written("empty.csv", &empty);
    classify(&data, &OF_CSV).refused("column `opinion` has no text in 1 of 48 rows (counted from 0: 3)");

    let (kept, data) = written("opinions.csv", &csv());
    let table = Dataset::open(&data).unwrap();
    let table = table.column("mood").to_classes(["cold", "dull", "hot", "warm", "none"]).as_("mood").unwrap();
    let named = kept.path().join("named.arrow");
    table.write_arrow(&named).unwrap();
    classify(&named, &OF_CSV).refused("the data names 5 classes, of which `none` have no row");

    let one = csv().replace("cold", "warm").replace("hot", "warm").replace("dull", "warm");
    let (_kept, data) = written("one.csv", &one);
    classify(&data, &OF_CSV).refused("every row has the label `warm`");
    classify(&data, &["--text", "opinion", "--label", "moods"]).refused("moods");
    classify(&data, &["--text", "opinion", "--label", "opinion"]).refused("listed twice");
}

#[test]
fn whole_numbers_are_classes_by_their_size_and_pairs_of_texts_are_read_together() {
    let lines = rows(48, |word, name| {
        let stars = name.len() * 10 + usize::from(name == "dull") * 100;
        format!("a film\tthe plot was {word}\t{stars}")
    });
    let (_kept, data) = written("stars.tsv", &format!("first\tlabels\tstars\n{lines}"));
    let ran = classify(&data, &["--text", "first", "--pair", "labels", "--label", "stars"]);
    // `hot` has 30, `warm` and `cold` 40, `dull` 140: by size, not by their digits.
    assert_eq!(ran.report()["classes"], serde_json::json!(["30", "40", "140"]));
}

#[test]
fn several_labels_per_row_come_from_lists_or_from_one_text_with_separators() {
    let lists = rows(48, |word, name| {
        format!("{{\"opinion\": \"the plot was {word}\", \"mood\": [\"{name}\", \"film\"]}}")
    });
    let (_kept, data) = written("opinions.jsonl", &lists);
    let by_lists = classify(&data, &OF_CSV).report();
    let text =
        "opinion,mood\n".to_owned() + &rows(48, |word, name| format!("the plot was {word},film | {name}"));
    let (_kept, data) = written("opinions.csv", &text);
    let by_text = classify(&data, &[&OF_CSV[..], &["--separator", "|"]].concat()).report();
    for report in [&by_lists, &by_text] {
        assert_eq!(report["labels"], "multi_label_classification");
        assert_eq!(report["classes"], serde_json::json!(["cold", "dull", "film", "hot", "warm"]));
        assert!(report["distilled"]["f1_micro"].is_number(), "{report}");
    }
    assert_eq!(by_lists["distilled"]["f1_micro"], by_text["distilled"]["f1_micro"]);
    // Nobody reads the texts of `--separator` as one class by mistake.
    assert!(classify(&data, &OF_CSV).report()["classes"][0] == "film | cold");
}

#[test]
fn numbers_are_predicted_and_their_agreement_is_a_correlation() {
    let text = |fraction: &str| {
        "opinion,mood\n".to_owned()
            + &rows(48, |word, name| format!("the plot was {word},{}{fraction}", name.len() + word.len()))
    };
    let (_kept, data) = written("numbers.csv", &text(".5"));
    let report = classify(&data, &OF_CSV).report();
    assert_eq!((&report["labels"], &report["classes"]), (&Value::from("regression"), &serde_json::json!([])));
    for number in ["pearson", "spearman", "agreement"] {
        assert!(report["distilled"][number].is_number(), "{report}");
    }
    let (_kept, data) = written("whole.csv", &text(""));
    assert_eq!(classify(&data, &OF_CSV).report()["labels"], "single_label_classification");
    let report = classify(&data, &[&OF_CSV[..], &["--number"]].concat()).report();
    assert_eq!(report["labels"], "regression");
}

#[test]
fn a_teacher_or_an_encoder_is_asked_for_and_a_report_that_cannot_be_written_is_refused_first() {
    let (kept, data) = written("opinions.csv", &csv());
    let output =
        Command::new(env!("CARGO_BIN_EXE_classify")).arg("--data").arg(&data).args(OF_CSV).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("--teacher") && said.contains("--encoder"), "{said}");
    let nowhere = kept.path().join("nowhere/report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_classify"))
        .args(["--encoder", fixture("encoder").to_str().unwrap(), "--report", nowhere.to_str().unwrap()])
        .arg("--data")
        .arg(&data)
        .args(OF_CSV)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("the folder of the report does not exist"), "{said}");
}
