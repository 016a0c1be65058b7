//! The program `loss` against formulas in PyTorch: `tests/reference.py`.
//!
//! The interpreter is `BREW_PYTHON`, or `python3`. If it lacks torch or safetensors, the test says so and checks nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Prints a line that the test runner does not capture, unlike `eprintln!`.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Why this interpreter cannot run the script; `None` if it can.
fn hindrance(python: &str) -> Option<String> {
    match Command::new(python).args(["-c", "import torch, safetensors, scipy"]).output() {
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Some(text.lines().last().unwrap_or("it ended without a message").to_owned())
        }
    }
}

#[test]
fn every_loss_agrees_with_pytorch_on_random_tensors() {
    let python = std::env::var("BREW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if let Some(hindrance) = hindrance(&python) {
        say(&format!("reference.py: skipped: `{python}` (BREW_PYTHON, else python3): {hindrance}"));
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference.py");
    let output =
        Command::new(&python).arg(script).args(["--loss", env!("CARGO_BIN_EXE_loss")]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    say(&format!("reference.py: {}", text.lines().last().unwrap_or_default()));
}
