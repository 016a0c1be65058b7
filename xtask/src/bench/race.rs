//! The race: TextBrewer and brew on the same reviews, from the same teacher and the same initial student, one
//! run after the other; and which of brew's switches its gain comes from.
//!
//! A run's report is kept, so that an interrupted race goes on; speed is that of the first seed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::measured::{number, parsed, python};
use crate::bench::remembered::Remembered;
use crate::bench::stage::{Kind, Stage};
use crate::failure::{AtPath, Result};
use crate::{process, sentiment, setup, workspace};

/// What TextBrewer's side needs.
const MODULES: &str = "pyarrow.parquet, tensorboard, textbrewer, torch, transformers";

/// The same for pip, where no Python has it yet.
const REQUIREMENTS: [&str; 5] =
    ["torch==2.11.0", "transformers==5.24.0", "textbrewer", "pyarrow", "tensorboard"];

/// A way to run the recipe.
struct Way {
    /// Its row in the table.
    name: &'static str,
    /// The start of its reports' names.
    key: &'static str,
    /// What is added to brew's arguments; `CACHE` stands for a folder that the way's name and the seed give.
    arguments: &'static [&'static str],
    /// Whether the cache's folder is emptied first.
    fills: bool,
    /// Whether its accuracy is that of all seeds.
    all_seeds: bool,
}

const CACHE: &str = "CACHE";

/// brew's ways, each with one switch more than the one before it.
const WAYS: [Way; 6] = [
    Way {
        name: "brew, random batches",
        key: "random",
        arguments: &["--order", "random"],
        fills: false,
        all_seeds: false,
    },
    Way { name: "brew, buckets", key: "buckets", arguments: &[], fills: false, all_seeds: false },
    Way {
        name: "brew, buckets, cache filled",
        key: "cache",
        arguments: &["--cache", CACHE],
        fills: true,
        all_seeds: true,
    },
    Way {
        name: "brew, buckets, cache full",
        key: "full",
        arguments: &["--cache", CACHE],
        fills: false,
        all_seeds: false,
    },
    Way {
        name: "the same, rows in use",
        key: "rows",
        arguments: &["--cache", CACHE, "--sparse-embedding-updates"],
        fills: false,
        all_seeds: true,
    },
    Way {
        name: "the same, cached in bf16",
        key: "bf16",
        arguments: &["--cache", CACHE, "--cached", "bf16", "--sparse-embedding-updates"],
        fills: true,
        all_seeds: false,
    },
];

/// What a person asked of the race.
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
        program.args(["-c", include_str!("race.py")]).arg(&path).env("HF_HUB_OFFLINE", "1");
        parsed(&mut program)
    })
}

/// A row a way: speed of the first seed, means of all.
fn table(rows: &[(&str, Value)], asked: Asked) -> Result<String> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let of = |wanted: &str| -> Vec<&Value> {
        rows.iter().filter(|(name, _)| *name == wanted).map(|(_, measured)| measured).collect()
    };
    let goal = of("TextBrewer").first().map(|theirs| number(theirs, "accuracy")).transpose()?;
    let theirs = of("TextBrewer").first().map(|theirs| number(theirs, "examples_per_second")).transpose()?;
    let mut lines = vec![
        format!(
            "| {} epochs, {} threads | examples a second | times TextBrewer | seconds to TextBrewer's accuracy | anonymous memory | cache | accuracy | agreement | seeds |",
            asked.epochs, asked.threads
        ),
        format!("|{}", "---|".repeat(9)),
    ];
    for name in names {
        let all = of(name);
        let Some(first) = all.first() else { continue };
        let speed = number(first, "examples_per_second")?;
        let times = theirs.map(|theirs| format!("{:.2}", speed / theirs)).unwrap_or_default();
        let reached =
            goal.and_then(|goal| seconds_to(first, goal)).map_or("–".to_owned(), |s| format!("{s:.0}"));
        let cache = first.get("cached_bytes").and_then(Value::as_f64).filter(|bytes| *bytes > 0.0);
        let cache = cache.map(|bytes| format!("{:.0} MB", bytes / 1e6)).unwrap_or_default();
        let count = all.len() as f64;
        let mean = |key: &str| -> Result<f64> {
            Ok(all.iter().map(|measured| number(measured, key)).sum::<Result<f64>>()? / count)
        };
        lines.push(format!(
            "| {name} | {speed:.1} | {times} | {reached} | {:.0} MB | {cache} | {:.4} | {:.4} | {count} |",
            number(first, "anonymous_bytes")? / 1e6,
            mean("accuracy")?,
            mean("agreement")?
        ));
    }
    Ok(lines.join("\n"))
}

/// When an evaluation first reached an accuracy.
fn seconds_to(measured: &Value, accuracy: f64) -> Option<f64> {
    let evaluations = measured.get("evaluations")?.as_array()?;
    let reached = evaluations.iter().find(|found| found["accuracy"].as_f64() >= Some(accuracy))?;
    reached["seconds"].as_f64()
}

fn race(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "race", "--", command]);
    cargo
}

/// A Python with TextBrewer: the person's own, or one that is made here by pip.
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
            // What is half made would be taken for whole the next time.
            let _ = fs::remove_dir_all(folder.join("python"));
            Err(failure.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(speed: f64, accuracy: f64, cached: f64) -> Value {
        json!({
            "examples_per_second": speed, "accuracy": accuracy, "agreement": 0.9, "anonymous_bytes": 5e8,
            "cached_bytes": cached,
            "evaluations": [{"accuracy": accuracy - 0.1, "seconds": 10.0}, {"accuracy": accuracy, "seconds": 20.4}],
        })
    }

    #[test]
    fn speeds_are_the_first_seeds_and_accuracies_the_mean() {
        let asked = Asked { seeds: 2, epochs: 3, rows: None, threads: 2, fresh: false };
        let rows = [
            ("TextBrewer", run(40.0, 0.80, 0.0)),
            ("brew", run(100.0, 0.82, 2.5e8)),
            ("slow", run(20.0, 0.70, 0.0)),
            ("TextBrewer", run(10.0, 0.82, 0.0)),
        ];
        let drawn = table(&rows, asked).unwrap();
        for line in [
            "| TextBrewer | 40.0 | 1.00 | 20 | 500 MB |  | 0.8100 | 0.9000 | 2 |",
            "| brew | 100.0 | 2.50 | 20 | 500 MB | 250 MB | 0.8200 | 0.9000 | 1 |",
            "| slow | 20.0 | 0.50 | – | 500 MB |  | 0.7000 | 0.9000 | 1 |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
        let alone = table(&rows[1..2], asked).unwrap();
        assert!(alone.contains("| brew | 100.0 |  | – | 500 MB | 250 MB | 0.8200 |"), "{alone}");
        let failure = table(&[("brew", json!({}))], asked).unwrap_err().to_string();
        assert!(failure.contains("there is no number `examples_per_second`"), "{failure}");
    }
}
