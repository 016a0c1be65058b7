//! Runs all tests of the repository, and prints one total at the end.

use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::process::{failed, not_started};
use crate::tally::Tally;
use crate::{page, setup, workspace};

/// `cargo xtask test`.
pub(crate) fn command() -> Result<()> {
    setup::run()?;
    let begin = Instant::now();
    let mut tally = Tally::default();

    let mut workspace = workspace::cargo();
    workspace.args(["test", "--workspace", "--no-fail-fast"]);
    // A package outside the workspace: what it compiles must not link libtorch, which the workspace's unified features
    // would enable.
    let mut compile_fail = workspace::cargo();
    compile_fail.args(["test", "--manifest-path", "tests/compile-fail/Cargo.toml"]);
    // Not `--target-dir`: the harness calls cargo itself, and only learns the folder from this variable.
    compile_fail.env("CARGO_TARGET_DIR", workspace::root().join("target/compile-fail"));

    // Each runs even if an earlier one fails, so that all failures are seen at once.
    let outcomes = [run(workspace, &mut tally), run(compile_fail, &mut tally), page(&mut tally)];
    let seconds = begin.elapsed().as_secs();
    println!("\nAll tests took {} min {} s", seconds / 60, seconds % 60);
    println!("{}", tally.closing_line());
    if tally.passed == 0 {
        return Err(Failure::new("no test ran"));
    }
    outcomes.into_iter().collect()
}

/// Runs the README's page, and counts it as one test.
fn page(tally: &mut Tally) -> Result<()> {
    println!("\nthe README's page, a program outside the workspace");
    let outcome = page::run();
    println!("the README's page ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
    tally.add(outcome.is_ok());
    outcome
}

/// Runs tests, shows their output, and counts them.
fn run(mut command: Command, tally: &mut Tally) -> Result<()> {
    let broken = |error: std::io::Error| Failure::new(format!("cannot show what the tests print: {error}"));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(&command, &error))?;
    if let Some(output) = child.stdout.take() {
        // As bytes: a test's output need not be UTF-8.
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).map_err(broken)? > 0 {
            stdout().write_all(&line).map_err(broken)?;
            tally.add_line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
    let status = child.wait().map_err(broken)?;
    if status.success() { Ok(()) } else { Err(failed(&command, status)) }
}
