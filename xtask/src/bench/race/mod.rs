//! The race: TextBrewer and brew on the same reviews, with the same teacher and the same initial student, one run after
//! the other; and what each of brew's switches gains.
//!
//! Reports are kept, so an interrupted race resumes.

mod table;
mod ways;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use table::table;
use ways::{CACHE, WAYS, Way};

use crate::bench::measured::{parsed, python};
use crate::bench::remembered::Remembered;
use crate::bench::stage::{Kind, Stage};
use crate::failure::{AtPath, Result};
use crate::{process, sentiment, setup, workspace};

/// What TextBrewer's side needs.
const MODULES: &str = "pyarrow.parquet, tensorboard, textbrewer, torch, transformers";

/// The same for pip, if no Python has it yet.
const REQUIREMENTS: [&str; 5] =
    ["torch==2.11.0", "transformers==5.24.0", "textbrewer", "pyarrow", "tensorboard"];

/// The arguments of the race.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) seeds: u64,
    pub(crate) epochs: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) threads: u64,
    pub(crate) fresh: bool,
}

/// `cargo xtask bench race`.
pub(crate) fn command(asked: Asked) -> Result<()> {
    setup::run()?;
    let folder = workspace::runs("race");
    if asked.fresh && folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    fs::create_dir_all(&folder).at("create", &folder)?;
    let teacher = Stage::new(Kind::Teacher, 0, &folder, &[]);
    if !teacher.is_done()? {
        teacher.run()?;
    }
    let python = with_textbrewer(&folder);
    if let Err(why) = &python {
        println!("TextBrewer is skipped: {why}");
    }
    let mut rows = Vec::new();
    for seed in 0..asked.seeds {
        let start = folder.join(format!("start-{seed}"));
        if !start.exists() {
            let mut program = race("start");
            program.arg("--encoder").arg(workspace::minilm());
            process::run(program.args(["--seed", &seed.to_string(), "--out"]).arg(&start))?;
        }
        if let Ok(python) = &python {
            rows.push(("TextBrewer", of_textbrewer(python, &folder, seed, asked)?));
        }
        for way in WAYS.iter().filter(|way| seed == 0 || way.all_seeds) {
            rows.push((way.name, of_brew(way, &folder, seed, asked)?));
        }
    }
    println!("\n{}", table(&rows, asked)?);
    Ok(())
}

fn of_brew(way: &Way, folder: &Path, seed: u64, asked: Asked) -> Result<Value> {
    let cache = folder.join(format!("cache-{}-{seed}", if way.key == "bf16" { "bf16" } else { "f32" }));
    let mut arguments: Vec<String> = [
        "--seed",
        &seed.to_string(),
        "--epochs",
        &asked.epochs.to_string(),
        "--threads",
        &asked.threads.to_string(),
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(asked.rows.iter().flat_map(|rows| ["--rows".to_owned(), rows.to_string()]));
    arguments.extend(way.arguments.iter().map(|argument| match *argument {
        CACHE => sentiment::shown(&cache),
        other => other.to_owned(),
    }));
    Remembered::new(folder, &format!("{}-{seed}", way.key), json!(arguments)).or_run(|| {
        if way.fills && cache.exists() {
            fs::remove_dir_all(&cache).at("remove", &cache)?;
        }
        let mut program = race("run");
        program.arg("--data").arg(workspace::movie_reviews());
        program.arg("--teacher").arg(folder.join("teacher/student"));
        program.arg("--student").arg(folder.join(format!("start-{seed}")));
        program.arg("--tokens").arg(folder.join("tokens")).args(&arguments);
        parsed(&mut program)
    })
}

fn of_textbrewer(python: &Path, folder: &Path, seed: u64, asked: Asked) -> Result<Value> {
    let config = json!({
        "seed": seed, "threads": asked.threads, "epochs": asked.epochs, "rows": asked.rows,
        "batch": 32, "length": 64, "temperature": 8, "learning_rate": 1e-4,
        "data": workspace::movie_reviews(), "tokenizer": workspace::minilm(),
        "teacher": folder.join("teacher/student"), "student": folder.join(format!("start-{seed}")),
        "out": folder.join(format!("textbrewer-{seed}")),
    });
    Remembered::new(folder, &format!("textbrewer-{seed}"), config.clone()).or_run(|| {
        let path = folder.join("textbrewer.config.json");
        fs::write(&path, config.to_string()).at("write", &path)?;
        let mut program = Command::new(python);
        program.args(["-c", concat!(include_str!("../memory.py"), include_str!("race.py"))]);
        program.arg(&path).env("HF_HUB_OFFLINE", "1");
        parsed(&mut program)
    })
}

fn race(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "race", "--", command]);
    cargo
}

/// A Python with TextBrewer: the user's, or one that pip sets up here.
fn with_textbrewer(folder: &Path) -> Result<PathBuf, String> {
    let made = folder.join("python/bin/python");
    let why = match python(MODULES) {
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
