//! Runs a side of the race in a process of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Asked;
use super::fair::cache_was_full;
use super::pythons::Pythons;
use super::told;
use super::ways::{Keeps, Side, Way};
use crate::bench::measured::parsed;
use crate::bench::remembered::Remembered;
use crate::failure::{AtPath, Result};
use crate::{process, sentiment, workspace};

/// TextBrewer's side, a whole program.
pub(super) const TEXTBREWER: &str =
    concat!(include_str!("../memory.py"), include_str!("sides.py"), include_str!("with_textbrewer.py"));

/// The expert's side, a whole program.
pub(super) const EXPERT: &str =
    concat!(include_str!("../memory.py"), include_str!("sides.py"), include_str!("expert.py"));

/// One seed of the race.
pub(super) struct Seed<'a> {
    pub(super) folder: &'a Path,
    pub(super) number: u64,
    pub(super) asked: Asked,
}

impl Seed<'_> {
    /// Writes what all sides start from: the student, and the tokens, batches, and learning rates.
    ///
    /// # Errors
    ///
    /// If these are not those of the race that it resumes.
    pub(super) fn prepare(&self) -> Result<()> {
        let start = self.start();
        if !start.exists() {
            let mut program = race("start");
            program.arg("--encoder").arg(workspace::minilm());
            process::run(program.args(["--seed", &self.number.to_string(), "--out"]).arg(&start))?;
        }
        let mut program = race("data");
        program.args(self.recipe()).arg("--tokenizer").arg(workspace::minilm());
        let now = self.folder.join(format!("told-{}.new.json", self.number));
        process::run(program.arg("--out").arg(&now))?;
        told::keep(&now, &self.told())
    }

    /// What a way measures, or measured in an earlier race; `None` if there is no Python for it.
    pub(super) fn run(&self, way: &Way, pythons: &Pythons) -> Result<Option<Value>> {
        let measured = match (way.side, pythons.of(way.side)) {
            (Side::Brew, _) => self.of_brew(way)?,
            (Side::TextBrewer, Some(python)) => self.of_python(way, python, TEXTBREWER)?,
            (Side::Expert, Some(python)) => self.of_python(way, python, EXPERT)?,
            (Side::TextBrewer | Side::Expert, None) => return Ok(None),
        };
        Ok(Some(measured))
    }

    fn start(&self) -> PathBuf {
        self.folder.join(format!("start-{}", self.number))
    }

    fn told(&self) -> PathBuf {
        self.folder.join(format!("told-{}.json", self.number))
    }

    fn teacher(&self) -> PathBuf {
        self.folder.join("teacher/student")
    }

    /// The arguments that say what is trained on.
    fn recipe(&self) -> Vec<String> {
        let (tokens, data) = (self.folder.join("tokens"), workspace::movie_reviews());
        let [seed, epochs] = [self.number, self.asked.epochs].map(|number| number.to_string());
        let (tokens, data) = (sentiment::shown(&tokens), sentiment::shown(&data));
        let mut arguments = ["--data", &data, "--tokens", &tokens, "--seed", &seed, "--epochs", &epochs]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(self.asked.rows.iter().flat_map(|rows| ["--rows".to_owned(), rows.to_string()]));
        arguments
    }

    fn of_brew(&self, way: &Way) -> Result<Value> {
        let floats = if way.arguments.contains(&"bf16") { "bf16" } else { "f32" };
        let cache = self.folder.join(format!("cache-{floats}-{}", self.number));
        let mut arguments = self.recipe();
        let threads = self.asked.threads.to_string();
        arguments.extend(["--order", way.batches, "--threads", &threads].map(str::to_owned));
        if way.keeps != Keeps::No {
            arguments.extend(["--cache".to_owned(), sentiment::shown(&cache)]);
        }
        arguments.extend(way.arguments.iter().map(|argument| (*argument).to_owned()));
        Remembered::new(self.folder, &self.name(way), json!(arguments)).or_run(|| {
            if way.keeps == Keeps::Fills && cache.exists() {
                fs::remove_dir_all(&cache).at("remove", &cache)?;
            }
            let mut program = race("run");
            program.arg("--teacher").arg(self.teacher()).arg("--student").arg(self.start());
            let measured = parsed(program.args(&arguments))?;
            cache_was_full(way, &measured, &cache)?;
            Ok(measured)
        })
    }

    fn of_python(&self, way: &Way, python: &Path, program: &str) -> Result<Value> {
        let name = self.name(way);
        let config = json!({
            "seed": self.number, "threads": self.asked.threads, "epochs": self.asked.epochs, "rows": self.asked.rows,
            "batches": way.batches, "keeps": way.keeps != Keeps::No,
            "length": 64, "temperature": 8, "learning_rate": 1e-4,
            "data": workspace::movie_reviews(), "told": self.told(), "tokenizer": workspace::minilm(),
            "teacher": self.teacher(), "student": self.start(), "out": self.folder.join("textbrewer"),
        });
        Remembered::new(self.folder, &name, config.clone()).or_run(|| {
            let script = self.folder.join(format!("{name}.py"));
            let given = self.folder.join(format!("{name}.config.json"));
            fs::write(&script, program).at("write", &script)?;
            fs::write(&given, config.to_string()).at("write", &given)?;
            parsed(Command::new(python).arg(&script).arg(&given).env("HF_HUB_OFFLINE", "1"))
        })
    }

    /// The name of a way's report.
    fn name(&self, way: &Way) -> String {
        format!("{}-{}", way.key, self.number)
    }
}

fn race(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "race", "--", command]);
    cargo
}
