//! Looks for libtorch before anything is compiled that needs it, and ends the build with one sentence that says
//! what to do. torch-sys looks too, later, and its compiler's errors do not say it. Both wait for the crates that
//! most others need, so the sentence comes after a minute or so of a first build, and at once in a later one.
//! It knows what torch-sys 0.24 looks at, and no more.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What tch 0.24 binds.
const VERSION: &str = "2.11.0";

/// What makes a build find it.
const MEND: &str = "in brew's own repository run `cargo xtask setup`; in a program of your own set LIBTORCH to the folder that it laid out (`.brew/libtorch` there) or to another libtorch 2.11.0, or set LIBTORCH_USE_PYTORCH=1 to use the PyTorch 2.11.0 of your Python";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // With `doc-only` nothing links.
    if env::var_os("CARGO_FEATURE_DOC_ONLY").is_some() {
        return;
    }
    if let Err(problem) = look() {
        println!("cargo::error=no libtorch {VERSION}: {problem}; {MEND}");
    }
}

fn look() -> Result<(), String> {
    if set("LIBTORCH_USE_PYTORCH").is_some() {
        return of_python();
    }
    let folder = match set("LIBTORCH") {
        Some(folder) => folder,
        None if Path::new("/usr/lib/libtorch.so").exists() => PathBuf::from("/usr"),
        None => return Err("LIBTORCH is not set".to_owned()),
    };
    // A folder of headers or of libraries may be named apart.
    let library = set("LIBTORCH_LIB").unwrap_or_else(|| folder.clone()).join("lib");
    let header = set("LIBTORCH_INCLUDE").unwrap_or_else(|| folder.clone()).join("include/torch");
    let has_library = fs::read_dir(&library).is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_string_lossy().contains("torch_cpu"))
    });
    for (there, path) in [(has_library, &library), (header.is_dir(), &header)] {
        if !there {
            return Err(format!(
                "LIBTORCH is `{}`, and there is no libtorch in `{}`",
                folder.display(),
                path.display()
            ));
        }
    }
    match fs::read_to_string(folder.join("build-version")) {
        Ok(version) => of_version(version.trim(), &folder.display().to_string()),
        // A folder that does not say its version is taken at its word, as torch-sys takes it.
        Err(_) => Ok(()),
    }
}

/// The PyTorch of the Python that torch-sys asks.
fn of_python() -> Result<(), String> {
    let python = if set("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
    let asked = Command::new(python).args(["-c", "import torch; print(torch.__version__)"]).output();
    match asked {
        Err(error) => Err(format!("LIBTORCH_USE_PYTORCH is set, and `{python}` does not start: {error}")),
        Ok(answer) if !answer.status.success() => {
            let told =
                String::from_utf8_lossy(&answer.stderr).trim().lines().last().unwrap_or_default().to_owned();
            Err(format!("LIBTORCH_USE_PYTORCH is set, and `{python}` cannot import torch: {told}"))
        }
        Ok(answer) => of_version(String::from_utf8_lossy(&answer.stdout).trim(), python),
    }
}

fn of_version(version: &str, of: &str) -> Result<(), String> {
    // 2.11.0+cpu is 2.11.0.
    let is_bound = version.split('+').next() == Some(VERSION);
    if is_bound || set("LIBTORCH_BYPASS_VERSION_CHECK").is_some() {
        return Ok(());
    }
    Err(format!("`{of}` has libtorch {version}"))
}

fn set(name: &str) -> Option<PathBuf> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var_os(name).map(PathBuf::from)
}
