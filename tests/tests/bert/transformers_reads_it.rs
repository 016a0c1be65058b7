//! A student saved by brew, loaded by Python's transformers.
//!
//! The interpreter is `BREW_PYTHON`, or `python3`. Where it has no torch or no transformers the test
//! says so and checks nothing.

use std::io::Write as _;
use std::process::Command;

use brew_core::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use tests::trajectory;

use super::support::{batch, difference, run, teacher};

/// Batches of the recorded run that are compared.
const BATCHES: [i64; 3] = [0, 7, 23];

const SCRIPT: &str = r#"
import json, sys
import safetensors, torch, transformers
from safetensors.torch import load_file
model, note = transformers.AutoModelForSequenceClassification.from_pretrained(
    sys.argv[1], output_loading_info=True)
batches = load_file(sys.argv[2])
with torch.no_grad():
    logits = [model.eval()(input_ids=batches["input_ids"][n],
                           attention_mask=batches["attention_mask"][n]).logits.tolist()
              for n in json.loads(sys.argv[3])]
print(json.dumps({
    "versions": f"Python {sys.version.split()[0]}, torch {torch.__version__}, "
                f"transformers {transformers.__version__}, safetensors {safetensors.__version__}",
    "class": type(model).__name__,
    "problems": [str(note[key]) for key in ["missing_keys", "unexpected_keys", "mismatched_keys"] if note[key]],
    "logits": logits}))
"#;

/// Why this interpreter cannot run the script; `None` where it can.
fn hindrance(python: &str) -> Option<String> {
    match Command::new(python).args(["-c", "import torch, transformers, safetensors"]).output() {
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Some(text.lines().last().unwrap_or("it ended without a message").to_owned())
        }
    }
}

/// Prints a line that the test runner does not hold back, as it does what `eprintln!` writes.
fn say(line: &str) {
    let line = format!("transformers_loads_a_saved_student_and_agrees: {line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn transformers_loads_a_saved_student_and_agrees() {
    let python = std::env::var("BREW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if let Some(hindrance) = hindrance(&python) {
        say(&format!(
            "skipped: `{python}` (BREW_PYTHON, else python3) cannot import what it needs: {hindrance}"
        ));
        return;
    }
    let student = BertForSequenceClassification::from_layers_of(&teacher(), Keep::every(2)).unwrap();
    let student = student.with_new_head(2, 5).unwrap();
    let folder = TempDir::new().unwrap();
    student.save(folder.path()).unwrap();

    let numbers = serde_json::to_string(&BATCHES).unwrap();
    let output = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .arg(trajectory("batches.safetensors"))
        .arg(numbers)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    say(&format!("compared with {}", answer["versions"].as_str().unwrap()));
    assert_eq!(answer["class"], "BertForSequenceClassification");
    assert_eq!(answer["problems"], serde_json::json!([]));

    let logits: Vec<Vec<Vec<f32>>> = serde_json::from_value(answer["logits"].clone()).unwrap();
    assert_eq!(logits.len(), BATCHES.len());
    for (number, theirs) in BATCHES.into_iter().zip(logits) {
        let ours = run(&student, &batch(number), &Pass::evaluation(Wants::nothing())).unwrap().logits;
        let off = difference(&ours, &Tensor::from_slice2(&theirs));
        assert!(off < 1e-4, "batch {number} is off by {off:e}");
    }
}
