//! How cost grows: one step over lengths, batches, layers and rows of data, as microseconds per token and peak
//! anonymous memory, in tables and charts.
//!
//! Every point is a separate process, and its report is kept, so an interrupted bench resumes. A point that fails is shown
//! with its reason, and is tried again next time.

mod axis;
mod plot;
mod progress;
mod run;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::axis::{AXES, Axis, Point};
use self::progress::Progress;
use self::run::{Measured, Run, Series};
use crate::bench::measured::{parsed, python};
use crate::bench::step::bench_step;
use crate::failure::{AtPath, Failure, Result};
use crate::{sentiment, setup, workspace};

/// The arguments of the bench.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) steps: u64,
    pub(crate) warm_up: u64,
    pub(crate) threads: u64,
    pub(crate) fresh: bool,
    /// The folder for the charts.
    pub(crate) out: Option<PathBuf>,
}

/// The outcome of a point: numbers, or why there are none.
type Outcome = Result<Measured, String>;

/// All that was measured.
type Outcomes = Vec<(Series, Point, Outcome)>;

/// Steps of one epoch over the shortest table, all of whose batches are full: 1,000 rows in batches of 32.
const MOST_STEPS: u64 = 31;

/// `cargo xtask bench growth`.
pub(crate) fn command(asked: &Asked) -> Result<()> {
    if asked.steps == 0 || asked.steps.saturating_add(asked.warm_up) > MOST_STEPS {
        return Err(Failure::new(format!(
            "--steps is {} and --warm-up {}: ask for at least one step, and for {MOST_STEPS} of both at most",
            asked.steps, asked.warm_up
        )));
    }
    setup::run()?;
    let folder = workspace::runs("growth");
    if asked.fresh && folder.exists() {
        fs::remove_dir_all(&folder).at("remove", &folder)?;
    }
    fs::create_dir_all(&folder).at("create", &folder)?;
    let python = python("safetensors, torch, transformers");
    let series = series(python.as_ref().err())?;
    let outcomes = measure(&folder, &series, asked, &python.unwrap_or_default())?;
    let out = asked.out.clone().unwrap_or_else(|| workspace::root().join("docs/images"));
    fs::create_dir_all(&out).at("create", &out)?;
    for axis in &AXES {
        println!("\n{}", table::of(axis, &on(axis, &series), &outcomes));
        let path = out.join(format!("growth-{}.svg", axis.name));
        fs::write(&path, plot::of(axis, &on(axis, &series), &outcomes)?).at("write", &path)?;
        println!("\n{}", sentiment::shown(&path));
    }
    Ok(())
}

/// What is measured on this machine; prints what is left out.
fn series(no_python: Option<&String>) -> Result<Vec<Series>> {
    let mut series = vec![Series::BrewF32];
    match parsed(bench_step().arg("--is-fast-at-bf16"))? {
        Value::Bool(true) => series.push(Series::BrewBf16),
        _ => println!("bf16 is left out: this processor is slow at it"),
    }
    match no_python {
        None => series.push(Series::PyTorchF32),
        Some(why) => println!("PyTorch is skipped: {why}"),
    }
    Ok(series)
}

/// The series measured on an axis.
fn on(axis: &Axis, series: &[Series]) -> Vec<Series> {
    series.iter().copied().filter(|series| !axis.is_of_data || *series != Series::PyTorchF32).collect()
}

/// The runs in order: brew's in float32 writes the batches that PyTorch reads.
fn runs(folder: &Path, series: &[Series], asked: &Asked) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for axis in &AXES {
        for (_, point) in axis.points() {
            for series in on(axis, series) {
                // Every axis contains the base.
                if !runs.iter().any(|run| (run.series, run.point) == (series, point)) {
                    runs.push(Run::new(folder, series, point, asked));
                }
            }
        }
    }
    runs
}

fn measure(folder: &Path, series: &[Series], asked: &Asked, python: &Path) -> Result<Outcomes> {
    let (mut outcomes, mut missing) = (Vec::new(), Vec::new());
    for run in runs(folder, series, asked) {
        match run.found()? {
            Some(measured) => outcomes.push((run.series, run.point, Ok(measured))),
            None => missing.push(run),
        }
    }
    if !outcomes.is_empty() {
        println!("{} runs are remembered; --fresh forgets them", outcomes.len());
    }
    let mut progress = Progress::new(missing.iter().map(|run| run.point.cost()).collect());
    for run in missing {
        println!("{}: {}, {}", progress.told(), run.series.name(), run.point.told());
        let outcome = progress.timed(|| run.measure(folder, asked, python))?;
        if let Err(reason) = &outcome {
            println!("failed, continuing with the others: {reason}");
        }
        outcomes.push((run.series, run.point, outcome));
    }
    Ok(outcomes)
}

/// The outcome of a series at a point.
fn outcome(outcomes: &Outcomes, series: Series, point: Point) -> Option<&Outcome> {
    let found = outcomes.iter().find(|(of, at, _)| (*of, *at) == (series, point));
    found.map(|(_, _, outcome)| outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_measured_once_and_pytorch_not_over_data() {
        let asked = Asked { steps: 5, warm_up: 2, threads: 2, fresh: false, out: None };
        let all = [Series::BrewF32, Series::BrewBf16, Series::PyTorchF32];
        let runs = runs(Path::new("runs/growth"), &all, &asked);
        let count = |series| runs.iter().filter(|run| run.series == series).count();
        // 5 + 5 + 6 points less twice the base, and three more tables.
        assert_eq!(all.map(count), [17, 17, 14]);
    }

    #[test]
    fn more_steps_than_the_shortest_table_has_are_refused() {
        let asked = Asked { steps: 30, warm_up: 2, threads: 2, fresh: false, out: None };
        let failure = command(&asked).unwrap_err().to_string();
        assert!(failure.contains("--steps is 30 and --warm-up 2"), "{failure}");
    }
}
