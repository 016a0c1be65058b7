//! The README's page: builds a program outside the workspace, lets it distil, and lets its student predict.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{AtPath, Failure, Result};
use crate::{process, workspace};

/// Builds `tests/page` and runs its three programs in a separate folder.
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

/// Checks that the student is a complete Hugging Face folder and judged both sentences.
fn check(folder: &Path, predictions: &str) -> Result<()> {
    let missing = ["config.json", "model.safetensors", "tokenizer.json"]
        .into_iter()
        .find(|file| !folder.join("models/student").join(file).is_file());
    match missing {
        Some(file) => Err(Failure::new(format!("the page's student has no `{file}`"))),
        None if predictions.lines().count() != 2 => Err(Failure::new(format!(
            "the page's student should have judged two sentences, but printed: {predictions:?}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text without their common indentation.
    fn flush(text: &str) -> String {
        let lines = || text.trim_matches('\n').lines();
        let indented = lines().filter(|line| !line.trim().is_empty());
        let indent = indented.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
        lines().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect::<Vec<_>>().join("\n")
    }

    /// Whether a program has these lines one after another, at any depth.
    fn shows(program: &str, block: &str) -> bool {
        let (program, block): (Vec<&str>, String) = (program.lines().collect(), flush(block));
        let count = block.lines().count();
        program.windows(count).any(|lines| flush(&lines.join("\n")) == block)
    }

    #[test]
    fn the_readme_shows_programs_that_the_tests_build() {
        let root = workspace::root();
        let readme = fs::read_to_string(root.join("README.md")).unwrap();
        let folder = root.join("tests/page");
        let programs = ["src/main.rs", "src/bin/predict.rs", "build.rs"]
            .map(|file| fs::read_to_string(folder.join(file)).unwrap());
        let blocks: Vec<&str> =
            readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() >= 3, "the README has a page, a prediction and a build script");
        for block in &blocks {
            assert!(
                programs.iter().any(|program| shows(program, block)),
                "no file of tests/page has this block of the README:\n{block}"
            );
        }
        let page = programs[0].split_once("\n\n").unwrap().1;
        assert!(blocks.iter().any(|block| block.trim() == page.trim()), "the README lacks the page");
        assert!(!shows(&programs[0], "fn main() {}"), "the comparison can fail");
    }
}
