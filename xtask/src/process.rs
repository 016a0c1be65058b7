//! Running other programs, with errors that show what was run.

use std::process::{Command, ExitStatus, Stdio};

use crate::failure::{Failure, Result};

/// Runs a command with its output shown; an exit status other than 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// The standard output of a command, or `None` if it is missing or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The failure of a command that could not be started.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start `{}`: {error}", shown(command)))
}

/// The failure of a command with an unsuccessful exit status.
pub(crate) fn failed(command: &Command, status: ExitStatus) -> Failure {
    Failure::new(format!("`{}` failed: {status}", shown(command)))
}

/// The command as a person would type it, near enough.
fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
