//! Folders of several splits: which there are is told as Python's `datasets` 5.2 tells it
//! (`fixtures/splits.py`), and one of them is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brew_data::{Dataset, Layout};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::formats::message;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A folder of files of one row each, which is the file's own path.
fn folder<'f>(files: impl IntoIterator<Item = &'f str>) -> TempDir {
    let folder = tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("file\n{file}\n")).unwrap();
    }
    folder
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn the_splits_of_a_folder_are_those_that_datasets_finds() {
    let golden = std::fs::read_to_string(fixtures().join("splits.json")).unwrap();
    let golden: BTreeMap<String, Value> = serde_json::from_str(&golden).unwrap();
    assert_eq!(golden.len(), 19);
    for (layout, golden) in golden {
        let files = names(&golden["files"]);
        let folder = folder(files.iter().copied());
        let expected = golden["splits"].as_object().unwrap();
        if layout.starts_with("no split") {
            // The one split that `datasets` calls `train`, for want of another name, is the folder's table.
            let table = Dataset::open(folder.path()).unwrap();
            assert_eq!(table.texts("file").unwrap(), names(&expected["train"]), "{layout}");
            let none = Dataset::splits(folder.path()).unwrap_err().to_string();
            assert!(none.ends_with("open it as one table with `Dataset::open`"), "{none}");
            continue;
        }
        let splits = Dataset::splits(folder.path()).unwrap();
        let mut found: Vec<_> = splits.names();
        found.sort_unstable();
        let mut known: Vec<_> = expected.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(found, known, "{layout}");
        for (split, files) in expected {
            assert_eq!(
                splits.split(split).unwrap().texts("file").unwrap(),
                names(files),
                "{layout}, {split}"
            );
        }
        let opened = Dataset::open(folder.path());
        if expected.len() == 1 {
            assert_eq!(opened.unwrap().texts("file").unwrap(), names(&expected["train"]), "{layout}");
        } else {
            let message = message(&folder, opened);
            let start = format!("FOLDER: the folder has the splits {}", splits.names().join(", "));
            assert!(message.starts_with(&start), "{layout}: {message}");
            assert!(
                message.contains("open one with `Dataset::splits(path)?.split(\""),
                "{layout}: {message}"
            );
        }
    }
}

#[test]
fn a_split_is_opened_however_it_is_spelt_and_another_is_refused_with_those_that_are_there() {
    let folder = folder(["Train.csv", "dev.csv", "TEST_2.csv", "TEST_10.csv"]);
    let splits = Dataset::splits(folder.path()).unwrap();
    assert_eq!(splits.names(), ["train", "validation", "test"]);
    for spelt in ["validation", "valid", "val", "dev"] {
        assert_eq!(splits.split(spelt).unwrap().texts("file").unwrap(), ["dev.csv"]);
    }
    assert_eq!(splits.split("eval").unwrap().texts("file").unwrap(), ["TEST_10.csv", "TEST_2.csv"]);
    assert_eq!(
        message(&folder, splits.split("unsupervised")),
        "FOLDER: there is no split `unsupervised`; there are: train, validation, test"
    );
    let headless = Layout::new().text("line");
    assert_eq!(splits.split_as("train", headless).unwrap().texts("line").unwrap(), ["file", "Train.csv"]);
}

#[test]
fn files_of_no_split_beside_one_are_not_mixed_with_it() {
    let folder = folder(["train.csv", "extra.csv"]);
    assert_eq!(
        message(&folder, Dataset::open(folder.path())),
        "FOLDER: the folder has the split train, and a file outside them, such as extra.csv: open one with \
         `Dataset::splits(path)?.split(\"train\")`, or select the files with a pattern"
    );
    assert_eq!(Dataset::splits(folder.path()).unwrap().split("train").unwrap().rows(), 1);
    assert_eq!(Dataset::open(folder.path().join("*.csv")).unwrap().rows(), 2);
}

/// `datasets` would lay them one after another unless the README names configurations.
#[test]
fn languages_in_folders_of_their_own_are_not_one_split() {
    let folder =
        folder(["de/train-00000-of-00001.csv", "en/train-00000-of-00001.csv", "en/test-00000-of-00001.csv"]);
    let several = "FOLDER: files of the split train are in several folders, de, en: open one of them, or \
        select the files with a pattern";
    assert_eq!(message(&folder, Dataset::open(folder.path())), several);
    assert_eq!(
        Dataset::splits(folder.path()).unwrap_err().to_string(),
        several.replace("FOLDER", &folder.path().display().to_string())
    );
    assert_eq!(Dataset::open(folder.path().join("de")).unwrap().rows(), 1);
    assert_eq!(Dataset::open(folder.path().join("*/train-*")).unwrap().rows(), 2);
}

/// As Spark and `pandas.DataFrame.to_parquet(partition_cols=…)` lay them.
#[test]
fn folders_that_are_named_after_a_value_open_by_the_pattern_that_is_advised() {
    let one = ["lang=de/part-0.csv", "lang=de/part-1.csv", "lang=en/part-0.csv"];
    let two = ["year=2024/month=01/a.csv", "year=2024/month=02/a.csv", "year=2025/month=01/a.csv"];
    for (files, stars) in [(one, "*/*.csv"), (two, "*/*/*.csv")] {
        let folder = folder(files);
        let named = files[0].split('/').next().unwrap();
        assert_eq!(
            message(&folder, Dataset::open(folder.path())),
            format!(
                "FOLDER: the folder has no file of data directly in it, but 3 in the folders below, such as {}: open \
                 one of these folders, or all files as one table with `Dataset::open(\"{stars}\")`; folder \
                 names such as {named} do not become columns",
                files[0]
            )
        );
        let told = Dataset::open(folder.path()).unwrap_err().to_string();
        let (_, code) = told.split_once("`Dataset::open(\"").unwrap();
        let table = Dataset::open(code.split_once("\")`").unwrap().0).unwrap();
        assert_eq!(table.texts("file").unwrap(), files);
        assert_eq!(
            Dataset::open(folder.path().join(files[0]).parent().unwrap()).unwrap().texts("file").unwrap()[0],
            files[0]
        );
    }
    // Where no pattern is sure to match them all and nothing else, none is advised.
    let mixed = folder(["de/a.csv", "en/old/a.csv"]);
    assert_eq!(
        message(&mixed, Dataset::open(mixed.path())),
        "FOLDER: the folder has no file of data directly in it, but 2 in the folders below, such as de/a.csv: open one \
         of these folders"
    );
}

/// Made by `datasets.load_dataset("csv", data_files={"train": …, "test": …, "unsupervised": …})`, datasets 5.2.0,
/// and a `map` over the training split, whose file is beside it. Its rows: a, b, c; d; e, f.
#[test]
fn a_cache_folder_of_datasets_has_the_splits_that_its_info_names() {
    let path = fixtures().join("cache_of_datasets");
    let refused = Dataset::open(&path).unwrap_err().to_string();
    assert!(
        refused.contains("the folder has the splits train, test, unsupervised: open one with"),
        "{refused}"
    );
    let splits = Dataset::splits(&path).unwrap();
    let texts = |split| splits.split(split).unwrap().texts("text").unwrap();
    assert_eq!(texts("train"), ["a", "b", "c"]);
    assert_eq!(texts("test"), ["d"]);
    assert_eq!(texts("unsupervised"), ["e", "f"]);
    // The folders around it lead there too.
    let outer = tempdir().unwrap();
    let inner = outer.path().join("csv/default/0.0.0");
    std::fs::create_dir_all(&inner).unwrap();
    for file in std::fs::read_dir(&path).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), inner.join(file.file_name())).unwrap();
    }
    assert_eq!(Dataset::splits(outer.path()).unwrap().split("unsupervised").unwrap().rows(), 2);
}

#[test]
fn files_that_describe_data_are_not_read_as_data() {
    let folder = folder([]);
    let about = [
        ("dataset_infos.json", "{\"default\": {\"description\": \"x\"}}"),
        ("dataset_info.json", "{\"description\": \"x\"}"),
        ("config.json", "{\"a\": 1}"),
        ("README.md", "text"),
        (".gitattributes", "*.parquet"),
        ("train.jsonl", "{\"text\": \"a\", \"label\": 1}\n"),
    ];
    about.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    let table = Dataset::open(folder.path()).unwrap();
    assert_eq!((table.rows(), table.columns()), (1, vec!["text", "label"]));
}

#[test]
fn a_saved_dictionary_of_data_sets_opens_by_the_names_of_its_splits() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("dataset_dict.json"), r#"{"splits": ["train", "test"]}"#).unwrap();
    let train = folder.path().join("train");
    std::fs::create_dir(&train).unwrap();
    for file in std::fs::read_dir(fixtures().join("saved_by_datasets")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), train.join(file.file_name())).unwrap();
    }
    let splits = Dataset::splits(folder.path()).unwrap();
    assert_eq!(splits.names(), ["train", "test"]);
    assert_eq!(splits.split("train").unwrap().rows(), 6);
    assert!(message(&folder, splits.split("test")).starts_with("test: "));
}

#[test]
fn lists_of_files_that_lead_out_of_their_folder_are_refused() {
    for name in ["/etc/passwd", "../secret.arrow", "a/../../secret.arrow", "", "./a.arrow"] {
        let folder = tempdir().unwrap();
        let state = format!(r#"{{"_data_files": [{{"filename": "{name}"}}]}}"#);
        std::fs::write(folder.path().join("state.json"), state).unwrap();
        let refused = message(&folder, Dataset::open(folder.path()));
        assert_eq!(refused, format!("state.json: it lists `{name}`, which is not inside its folder"));
        std::fs::remove_file(folder.path().join("state.json")).unwrap();
        let dict = format!(r#"{{"splits": ["{name}"]}}"#);
        std::fs::write(folder.path().join("dataset_dict.json"), dict).unwrap();
        let refused = Dataset::splits(folder.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with(&format!("it lists `{name}`, which is not inside its folder")),
            "{refused}"
        );
    }
}
