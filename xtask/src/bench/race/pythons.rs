//! The Pythons of the race: one with TextBrewer, the user's or one that pip sets up, and one with PyTorch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ways::Side;
use crate::bench::measured::python;
use crate::{process, sentiment};

/// What the expert's side needs.
pub(super) const OF_THE_EXPERT: &str = "pyarrow.parquet, torch, transformers";

/// What TextBrewer's side needs.
pub(super) const OF_TEXTBREWER: &str = "pyarrow.parquet, textbrewer, torch, transformers";

/// The same for pip, if no Python has it yet.
const REQUIREMENTS: [&str; 5] =
    ["torch==2.11.0", "transformers==5.24.0", "textbrewer", "pyarrow", "tensorboard"];

/// Who runs TextBrewer's side, and who the expert's.
pub(super) struct Pythons {
    textbrewer: Option<PathBuf>,
    expert: Option<PathBuf>,
}

impl Pythons {
    /// Finds both; says so if a side has to be skipped.
    pub(super) fn found(folder: &Path) -> Pythons {
        let textbrewer = with_textbrewer(folder).inspect_err(|why| println!("TextBrewer is skipped: {why}"));
        let expert = textbrewer.clone().or_else(|_| python(OF_THE_EXPERT));
        let expert = expert.inspect_err(|why| println!("The expert's loop is skipped: {why}"));
        Pythons { textbrewer: textbrewer.ok(), expert: expert.ok() }
    }

    /// The Python of a side that is written in Python, if there is one.
    pub(super) fn of(&self, side: Side) -> Option<&Path> {
        match side {
            Side::TextBrewer => self.textbrewer.as_deref(),
            Side::Expert => self.expert.as_deref(),
            Side::Brew => None,
        }
    }
}

/// A Python with TextBrewer: the user's, or one that pip sets up here.
fn with_textbrewer(folder: &Path) -> Result<PathBuf, String> {
    let made = folder.join("python/bin/python");
    let why = match python(OF_TEXTBREWER) {
        Ok(python) => return Ok(python),
        Err(_) if made.exists() => return Ok(made),
        Err(why) => why,
    };
    println!("{why}; making one with pip in {}", sentiment::shown(&folder.join("python")));
    let made_it = process::run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("python")))
        .and_then(|()| {
            process::run(Command::new(&made).args(["-m", "pip", "install", "-q"]).args(REQUIREMENTS))
        });
    match made_it {
        Ok(()) => Ok(made),
        Err(failure) => {
            // An incomplete folder would be taken for complete next time.
            let _ = fs::remove_dir_all(folder.join("python"));
            Err(failure.to_string())
        }
    }
}
