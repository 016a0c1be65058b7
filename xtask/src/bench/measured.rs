//! Reads what a measuring program printed, one line of JSON with numbers, and finds the Python to compare with.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::process;

/// Runs a program, shows its warnings, and reads what it printed.
pub(crate) fn parsed(program: &mut Command) -> Result<Value> {
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| process::not_started(program, &error))?;
    if !output.status.success() {
        return Err(process::failed(program, output.status));
    }
    answer(&output)
}

/// Runs a program that may fail; the error is one line with its exit status and its last output.
pub(crate) fn parsed_or_reason(program: &mut Command) -> Result<Value, String> {
    let output = program.output().map_err(|error| process::not_started(program, &error).to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    if !output.status.success() {
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(format!("{}: {}", output.status, last.trim()));
    }
    answer(&output).map_err(|failure| failure.to_string())
}

fn answer(output: &Output) -> Result<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .map_err(|error| Failure::new(format!("`{}` is no JSON: {error}", text.trim())))
}

/// One measured number.
pub(crate) fn number(measured: &Value, name: &str) -> Result<f64> {
    let number = measured.get(name).and_then(Value::as_f64);
    number.ok_or_else(|| Failure::new(format!("there is no number `{name}` in {measured}")))
}

/// The Python that can import these modules, or why there is none.
pub(crate) fn python(modules: &str) -> Result<PathBuf, String> {
    let python = env::var_os("BREW_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let imports = format!("import {modules}");
    match process::answer(Command::new(&python).args(["-c", &imports])) {
        Some(_) => Ok(python),
        None => Err(format!("`{}` cannot `{imports}`; set BREW_PYTHON to one that can", python.display())),
    }
}

/// A count or a size, with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_gives_its_end_and_its_last_words() {
        let reason = |script: &str| parsed_or_reason(Command::new("sh").args(["-c", script])).unwrap_err();
        assert_eq!(
            reason("echo Traceback >&2; echo ' out of memory' >&2; exit 3"),
            "exit status: 3: out of memory"
        );
        assert_eq!(reason("kill -9 $$"), "signal: 9 (SIGKILL): it said nothing");
        assert!(reason("echo 5 seconds").contains("`5 seconds` is no JSON"));
        assert_eq!(parsed_or_reason(Command::new("sh").args(["-c", "echo 5"])), Ok(Value::from(5)));
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([8, 512, 1_000, 1_000_000].map(grouped), ["8", "512", "1,000", "1,000,000"]);
    }
}
