//! The race: TextBrewer and brew on the same reviews, with the same teacher and the same initial student, one run after
//! the other; and what each of brew's switches gains.
//!
//! Reports are kept, so an interrupted race resumes.

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

/// The same for pip, if no Python has it yet.
const REQUIREMENTS: [&str; 5] =
    ["torch==2.11.0", "transformers==5.24.0", "textbrewer", "pyarrow", "tensorboard"];

/// A way to run the recipe.
struct Way {
    /// Its name in the table.
    name: &'static str,
    /// The prefix of its reports' names.
    key: &'static str,
    /// What is added to brew's arguments; `CACHE` stands for a folder named after the way and the seed.
    arguments: &'static [&'static str],
    /// Whether the cache folder is emptied first.
    fills: bool,
    /// Whether it runs with all seeds.
    all_seeds: bool,
}

const CACHE: &str = "CACHE";

/// brew's ways, each with one more switch than the one before.
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
        name: "rows in use, cache filled in bf16",
        key: "bf16",
        arguments: &["--cache", CACHE, "--cached", "bf16", "--sparse-embedding-updates"],
        fills: true,
        all_seeds: false,
    },
];

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
        program.args(["-c", concat!(include_str!("memory.py"), include_str!("race.py"))]);
        program.arg(&path).env("HF_HUB_OFFLINE", "1");
        parsed(&mut program)
    })
}

/// One row per way: means over its seeds, and the largest memory.
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
    let theirs = of("TextBrewer");
    let goal = if theirs.is_empty() { None } else { Some(mean(&theirs, "accuracy")?) };
    let mut lines = vec![
        format!(
            "| {} epochs, {} threads | dtype | batches of 32, padded to their longest row | examples per second | times TextBrewer | seconds to TextBrewer's accuracy | anonymous memory | cache | accuracy | agreement | seeds |",
            asked.epochs, asked.threads
        ),
        format!("|{}", "---|".repeat(11)),
    ];
    for name in names {
        let all = of(name);
        let speed = mean(&all, "examples_per_second")?;
        let times = times(&all, &theirs)?.map(|times| format!("{times:.2}")).unwrap_or_default();
        let reached = goal.map(|goal| seconds_to(&all, goal)).unwrap_or_default();
        let cache =
            all.iter().filter_map(|measured| measured.get("cached_bytes")?.as_f64()).fold(0.0, f64::max);
        let cache = if cache > 0.0 { format!("{:.0} MB", cache / 1e6) } else { String::new() };
        let memory = all.iter().map(|measured| number(measured, "anonymous_bytes"));
        let memory = memory.collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max);
        lines.push(format!(
            "| {name} | {} | {} | {speed:.1} | {times} | {reached} | {:.0} MB | {cache} | {:.4} | {:.4} | {} |",
            told(&all, "dtype"),
            told(&all, "batches"),
            memory / 1e6,
            mean(&all, "accuracy")?,
            mean(&all, "agreement")?,
            all.len()
        ));
    }
    Ok(lines.join("\n"))
}

/// The mean over the seeds of a way's speed divided by TextBrewer's with the same seed: these ran one after the other, on
/// a machine whose speed may change within hours.
fn times(all: &[&Value], theirs: &[&Value]) -> Result<Option<f64>> {
    let ratios = all.iter().zip(theirs).map(|(ours, theirs)| {
        Ok(number(ours, "examples_per_second")? / number(theirs, "examples_per_second")?)
    });
    let ratios = ratios.collect::<Result<Vec<f64>>>()?;
    Ok((!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64))
}

fn mean(all: &[&Value], key: &str) -> Result<f64> {
    Ok(all.iter().map(|measured| number(measured, key)).sum::<Result<f64>>()? / all.len() as f64)
}

/// What all runs of a way report alike.
fn told<'v>(all: &[&'v Value], key: &str) -> &'v str {
    all.first().and_then(|measured| measured.get(key)?.as_str()).unwrap_or_default()
}

/// The mean time to the first evaluation that reached an accuracy, and how many seeds reached it if not all did.
fn seconds_to(all: &[&Value], accuracy: f64) -> String {
    let reached = |measured: &Value| {
        let mut evaluations = measured.get("evaluations")?.as_array()?.iter();
        evaluations.find(|found| found["accuracy"].as_f64() >= Some(accuracy))?["seconds"].as_f64()
    };
    let reached: Vec<f64> = all.iter().filter_map(|measured| reached(measured)).collect();
    let mean = reached.iter().sum::<f64>() / reached.len() as f64;
    match reached.len() {
        0 => "–".to_owned(),
        some if some == all.len() => format!("{mean:.0}"),
        some => format!("{mean:.0} ({some} of {})", all.len()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run(speed: f64, accuracy: f64, cached: f64) -> Value {
        json!({
            "examples_per_second": speed, "accuracy": accuracy, "agreement": 0.9, "anonymous_bytes": 1e7 * speed,
            "cached_bytes": cached, "dtype": "float32", "batches": "random",
            "evaluations": [{"accuracy": accuracy - 0.1, "seconds": 10.0}, {"accuracy": accuracy, "seconds": 20.4}],
        })
    }

    #[test]
    fn a_row_has_the_means_of_its_seeds_their_ratios_and_the_most_memory() {
        let asked = Asked { seeds: 2, epochs: 3, rows: None, threads: 2, fresh: false };
        let rows = [
            ("TextBrewer", run(40.0, 0.80, 0.0)),
            ("brew", run(100.0, 0.82, 2.5e8)),
            ("slow", run(20.0, 0.70, 0.0)),
            ("TextBrewer", run(60.0, 0.82, 0.0)),
        ];
        let drawn = table(&rows, asked).unwrap();
        for line in [
            "| TextBrewer | float32 | random | 50.0 | 1.00 | 20 (1 of 2) | 600 MB |  | 0.8100 | 0.9000 | 2 |",
            "| brew | float32 | random | 100.0 | 2.50 | 20 | 1000 MB | 250 MB | 0.8200 | 0.9000 | 1 |",
            "| slow | float32 | random | 20.0 | 0.50 | – | 200 MB |  | 0.7000 | 0.9000 | 1 |",
        ] {
            assert!(drawn.contains(line), "{line} is not in\n{drawn}");
        }
        let alone = table(&rows[1..2], asked).unwrap();
        assert!(alone.contains("| 100.0 |  |  | 1000 MB | 250 MB | 0.8200 |"), "{alone}");
        let failure = table(&[("brew", json!({}))], asked).unwrap_err().to_string();
        assert!(failure.contains("there is no number `examples_per_second`"), "{failure}");
    }
}
