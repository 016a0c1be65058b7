//! What a measuring program printed: one line of JSON with numbers in it; and the Python to compare with.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::process;

/// Runs a program whose warnings go to the reader, and reads what it printed.
pub(crate) fn parsed(program: &mut Command) -> Result<Value> {
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| process::not_started(program, &error))?;
    if !output.status.success() {
        return Err(process::failed(program, output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .map_err(|error| Failure::new(format!("`{}` is no JSON: {error}", text.trim())))
}

/// A number of what was measured.
pub(crate) fn number(measured: &Value, name: &str) -> Result<f64> {
    let number = measured.get(name).and_then(Value::as_f64);
    number.ok_or_else(|| Failure::new(format!("there is no number `{name}` in {measured}")))
}

/// The Python that can import these, or why there is none.
pub(crate) fn python(modules: &str) -> Result<PathBuf, String> {
    let python = env::var_os("BREW_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let imports = format!("import {modules}");
    match process::answer(Command::new(&python).args(["-c", &imports])) {
        Some(_) => Ok(python),
        None => Err(format!("`{}` cannot `{imports}`; set BREW_PYTHON to one that can", python.display())),
    }
}
