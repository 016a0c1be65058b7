//! `replay` agrees with recorded runs, and detects a changed recording.
//!
//! `trajectory` was recorded by TextBrewer itself; `recordings` by PyTorch and transformers, with the
//! script beside them, which repeats `trajectory` to 1e-6.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use brew_core::tch::Tensor;
use serde_json::Value;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replay")).arg(folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_agrees(folder: &Path) -> String {
    let output = replay(folder, &[]);
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// A copy of a recorded run, to be changed.
fn copy_of(name: &str) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture(name), folder.path());
    folder
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn textbrewers_own_run_is_repeated_loss_by_loss_and_tensor_by_tensor() {
    let output = assert_agrees(&fixture("trajectory"));
    // Seven losses over 24 batches, 39 tensors of the student without its keys' biases, 6 of projections.
    assert!(output.contains("over 24 batches") && output.contains("52 of 52 within 1e-4"), "{output}");
    assert_eq!(output.matches("not judged").count(), 2, "{output}");
}

#[test]
fn a_tagger_with_scheduled_temperatures_and_weights_is_repeated() {
    let output = assert_agrees(&fixture("recordings/tokens"));
    assert!(output.contains("unweighted_attention_attention_ce_-1_-1"), "{output}");
}

#[test]
fn a_span_finder_is_repeated_and_a_batch_that_is_left_over_is_named() {
    let output = assert_agrees(&fixture("recordings/spans"));
    assert!(output.contains("unweighted_hidden_gram_0-1_1-2"), "{output}");
    // TextBrewer logs the losses of such a batch too.
    let folder = copy_of("recordings/spans");
    edit(&folder.path().join("expected.json"), |expected| {
        let losses = expected["losses"].as_array_mut().unwrap();
        losses.push(losses[0].clone());
    });
    assert!(assert_agrees(folder.path()).contains("1 batches were recorded without a step"));
}

#[test]
fn answers_beyond_the_text_do_not_count_and_what_no_loss_sees_is_not_judged() {
    let output = assert_agrees(&fixture("recordings/beyond"));
    // The keys' biases, the scores' bias, and the bias of the last norm, which the head alone reads.
    for name in ["layer.0.attention.self.key", "layer.1.attention.self.key", "layer.1.output.LayerNorm"] {
        let line = output.lines().find(|line| line.contains(&format!("{name}.bias"))).unwrap();
        assert!(line.contains("not judged"), "{line}");
    }
    assert_eq!(output.matches("not judged").count(), 4, "{output}");
}

// TextBrewer's own reruns of such recordings, in another arithmetic, differ by 7e-4.
#[test]
fn a_logged_loss_that_only_a_free_bias_moves_is_printed_and_not_judged() {
    let folder = copy_of("recordings/beyond");
    let weighted = |weight: f64| {
        edit(&folder.path().join("distill.json"), |config| {
            config["kd_loss_type"] = Value::from("mse");
            config["kd_loss_weight"] = Value::from(weight);
        });
        text(&replay(folder.path(), &[]))
    };
    // The recorded soft targets are cross-entropies, far from these.
    let output = weighted(0.0);
    let line = output.lines().find(|line| line.contains("unweighted_kd_loss")).unwrap();
    assert!(line.contains("not judged: its weight is 0"), "{output}");
    let output = weighted(0.5);
    assert!(output.contains("FAILED: unweighted_kd_loss"), "{output}");
    // A classifier has no free parameters.
    let folder = copy_of("trajectory");
    edit(&folder.path().join("distill.json"), |config| {
        config["kd_loss_type"] = Value::from("mse");
        config["kd_loss_weight"] = Value::from(0);
    });
    assert!(text(&replay(folder.path(), &[])).contains("FAILED: unweighted_kd_loss"));
}

#[test]
fn a_probability_shift_and_a_loss_of_weight_zero_are_repeated() {
    let output = assert_agrees(&fixture("recordings/shifted"));
    assert!(output.contains("unweighted_hard_label_loss"), "{output}");
}

// TextBrewer itself trained with labels of -100 for some rows.
#[test]
fn rows_without_a_label_do_not_count_as_they_do_not_in_textbrewer() {
    let output = assert_agrees(&fixture("recordings/unlabelled"));
    assert!(output.contains("over 15 batches"), "{output}");
}

// Texts of one token: the gradient of queries and keys is exactly 0 in TextBrewer's run, and so are AdamW's moves.
#[test]
fn queries_and_keys_of_texts_of_one_token_stay_where_they_are() {
    let output = assert_agrees(&fixture("recordings/one_token"));
    for name in ["query.weight", "query.bias", "key.weight"] {
        let line =
            output.lines().find(|line| line.contains(&format!("layer.0.attention.self.{name}"))).unwrap();
        assert!(!line.contains("not judged"), "{line}");
    }
}

// TextBrewer divides a vector of zeros by its length; brew's `pkd` does not.
#[test]
fn what_is_recorded_as_nan_is_named_and_the_rest_is_judged() {
    let folder = fixture("recordings/nan");
    let output = assert_agrees(&folder);
    for name in ["total", "unweighted_hidden_pkd_0_-2"] {
        let line = output.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line.contains("not judged in 9 of 9 batches: recorded as NaN"), "{line}");
    }
    assert!(
        output
            .lines()
            .any(|line| line.contains("unweighted_hard_label_loss") && !line.contains("not judged"))
    );
    // A recorded number is still judged.
    let folder = copy_of("recordings/nan");
    let path = folder.path().join("expected.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("1.2578867673873901", "Infinity", 1)).unwrap();
    let output = replay(folder.path(), &[]);
    assert!(self::text(&output).contains("FAILED: unweighted_hard_label_loss"), "{}", self::text(&output));
}

#[test]
fn one_recorded_loss_that_is_off_by_a_thousandth_is_seen() {
    for (row, name) in [(0, "total"), (23, "unweighted_hidden_nst_2-2_4-4")] {
        let folder = copy_of("trajectory");
        edit(&folder.path().join("expected.json"), |expected| {
            let loss = &mut expected["losses"][row][name];
            *loss = Value::from(loss.as_f64().unwrap() + 1e-3);
        });
        let output = replay(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output).contains(&format!("FAILED: {name}: ")), "{}", text(&output));
    }
}

#[test]
fn one_initial_weight_that_is_off_by_a_hundredth_is_seen() {
    let folder = copy_of("trajectory");
    let path = folder.path().join("student_init/model.safetensors");
    let tensors = Tensor::read_safetensors(&path).unwrap();
    let (_, changed) = tensors.iter().find(|(name, _)| name == "bert.pooler.dense.weight").unwrap();
    let _ = changed.get(3).get(5).g_add_scalar_(1e-2);
    Tensor::write_safetensors(&tensors, &path).unwrap();
    let output = replay(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("FAILED: unweighted_hard_label_loss"), "{}", text(&output));
}

#[test]
fn the_tolerance_is_the_callers() {
    let output = replay(&fixture("trajectory"), &["--tolerance", "1e-9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("FAILED: total"), "{}", text(&output));
}

#[test]
fn without_recorded_losses_it_prints_its_own_and_ends_well() {
    let folder = copy_of("trajectory");
    let path = folder.path().join("expected.json");
    let mut recorded = Value::Null;
    edit(&path, |expected| recorded = expected.as_object_mut().unwrap().remove("losses").unwrap());
    fs::remove_dir_all(folder.path().join("student_final")).unwrap();
    let output = assert_agrees(folder.path());
    let rows: Vec<Value> = output
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 24);
    for (row, expected) in rows.iter().zip(recorded.as_array().unwrap()) {
        for (name, expected) in expected.as_object().unwrap() {
            let (found, expected) = (row[name].as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-4 * expected.abs(), "{name}: {found}, {expected}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let folder = copy_of("trajectory");
    edit(&folder.path().join("distill.json"), |config| {
        config["temprature"] = config["temperature"].take();
        config["intermediate_matches"][0]["loss"] = Value::from("hiden_mse");
    });
    let output = text(&replay(folder.path(), &[]));
    assert!(output.contains("did you mean `temperature`?"), "{output}");
    assert!(output.contains("did you mean `hidden_mse`?"), "{output}");
    let output = text(&replay(Path::new("nowhere"), &[]));
    assert!(output.contains("nowhere"), "{output}");
}
