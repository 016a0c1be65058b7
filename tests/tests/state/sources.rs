//! Finds stateful parts in the sources, so that nobody need remember to add a row.

use std::fs;
use std::path::{Path, PathBuf};

/// What a part that has state, or must not have any, has in its file.
const MARKS: [&str; 6] = [
    "fn restore(",
    "fn state(&self)",
    "impl Optimizer for ",
    "impl Schedule for ",
    "impl TemperatureSchedule for ",
    "fn after_step(&mut self)",
];

/// Files with such marks that are not parts, and why.
pub(crate) const NO_PARTS: [(&str, &str); 5] = [
    ("brew-core/src/loss/learns.rs", "the trait, with the answers of a loss without state"),
    ("brew-core/src/train/resume.rs", "puts the parts together: every row goes through it"),
    ("brew-core/src/train/erased_executor.rs", "hands on to the losses of the plan"),
    ("brew-core/src/batch/position.rs", "the position that the rows of the loader keep"),
    ("brew-data/src/store/rows.rs", "a lock that is named so; the store is no part of a checkpoint"),
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether a file of the workspace is there.
pub(crate) fn exists(file: &str) -> bool {
    root().join(file).is_file()
}

/// Files with a mark, and the mark's line without its braces: `fn restore(`, `Optimizer for Adam`.
pub(crate) fn with_state() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["brew-core/src", "brew-data/src"] {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 20, "the sources are not where they were: {found:?}");
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
            for line in lines {
                if let Some(mark) = MARKS.iter().find(|mark| line.contains(*mark)) {
                    let what = line.trim_start_matches("impl ").trim_end_matches([' ', '{']);
                    let what = if mark.starts_with("impl") { what } else { mark };
                    found.push((name.clone(), what.to_owned()));
                }
            }
        }
    }
}
