//! The page of a user: a program outside the workspace is built, distils, and its student predicts.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{AtPath, Failure, Result};
use crate::{process, workspace};

/// Builds `tests/page` and runs its three programs in a folder of their own.
pub(crate) fn run() -> Result<()> {
    // The workspace's own target folder: both share one build of torch-sys.
    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace::root().join("target"), PathBuf::from);
    let mut build = workspace::cargo();
    build
        .args(["build", "--locked", "--manifest-path", "tests/page/Cargo.toml", "--target-dir"])
        .arg(&target);
    process::run(&mut build)?;

    let folder = target.join("page");
    if folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    fs::create_dir_all(&folder).at("create", &folder)?;
    let program = |name: &str| {
        let mut program = Command::new(target.join("debug").join(name));
        program.current_dir(&folder);
        program
    };
    process::run(program("prepare").arg(workspace::minilm()).arg(workspace::movie_reviews()))?;
    process::run(&mut program("page"))?;
    let predictions = process::answer(&mut program("predict")).unwrap_or_default();
    print!("{predictions}");
    check(&folder, &predictions)
}

/// The student is a whole Hugging Face folder, and it judged both sentences.
fn check(folder: &Path, predictions: &str) -> Result<()> {
    let missing = ["config.json", "model.safetensors", "tokenizer.json"]
        .into_iter()
        .find(|file| !folder.join("models/student").join(file).is_file());
    match missing {
        Some(file) => Err(Failure::new(format!("the page's student has no `{file}`"))),
        None if predictions.lines().count() != 2 => Err(Failure::new(format!(
            "the page's student should have judged two sentences, and said: {predictions:?}"
        ))),
        None => Ok(()),
    }
}
