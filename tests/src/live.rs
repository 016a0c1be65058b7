//! Live comparisons with Python: which interpreter runs them, what is said if none can, and the two halves that every
//! sweep of model folders has.

#![expect(clippy::expect_used, reason = "a test fails where a helper does")]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Prints a line that the test runner does not capture, unlike `eprintln!`.
///
/// # Panics
/// Standard error is closed.
pub fn say(test: &str, line: &str) {
    std::io::stderr().write_all(format!("{test}: {line}\n").as_bytes()).expect("standard error");
}

/// The interpreter that `BREW_PYTHON` names, or `python3`, if it runs `imports`; otherwise says why not.
pub fn python(test: &str, imports: &str) -> Option<String> {
    let python = std::env::var("BREW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let hindrance = match Command::new(&python).args(["-c", imports]).output() {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            text.lines().last().unwrap_or("it ended without a message").to_owned()
        }
        Err(error) => error.to_string(),
    };
    say(
        test,
        &format!("skipped: `{python}` (BREW_PYTHON, else python3) cannot import what it needs: {hindrance}"),
    );
    None
}

/// What a program prints as JSON.
///
/// # Panics
/// It fails, or prints something else.
pub fn printed_json<T: DeserializeOwned>(program: &mut Command) -> T {
    let output = program.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// A script that makes model folders with transformers, and reads what brew saved of them.
#[derive(Debug)]
pub struct Sweep<'a> {
    /// The interpreter.
    pub python: &'a str,
    /// The script.
    pub script: &'a Path,
    /// Where the folders are.
    pub folder: &'a Path,
}

/// What the script says of a folder that brew saved.
#[derive(Deserialize)]
struct Answer {
    folder: String,
    problems: Vec<String>,
}

impl Sweep<'_> {
    fn run<T: DeserializeOwned>(&self, task: &str, rest: &[&str]) -> T {
        printed_json(Command::new(self.python).arg(self.script).arg(task).arg(self.folder).args(rest))
    }

    /// The cases of `BREW_SWEEP` folders that the script makes, or of this many.
    ///
    /// # Panics
    /// The script fails, or makes another number.
    pub fn make<C: DeserializeOwned>(&self, unless_told: &str) -> Vec<C> {
        let count = std::env::var("BREW_SWEEP").unwrap_or_else(|_| unless_told.to_owned());
        let cases: Vec<C> = self.run("make", &[&count, "2026"]);
        assert_eq!(cases.len().to_string(), count);
        cases
    }

    /// Checks that transformers opens all `saved` folders and computes from each what brew computed.
    ///
    /// # Panics
    /// It does not, or read another number of folders.
    pub fn check_saved(&self, saved: usize) {
        let answers: Vec<Answer> = self.run("read", &[]);
        assert_eq!(answers.len(), saved);
        let wrong = answers.iter().filter(|answer| !answer.problems.is_empty());
        let wrong: Vec<_> =
            wrong.map(|answer| format!("{}: {}", answer.folder, answer.problems.join("; "))).collect();
        assert!(wrong.is_empty(), "what brew saved:\n{}", wrong.join("\n"));
    }
}
