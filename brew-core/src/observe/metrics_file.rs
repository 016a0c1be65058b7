//! `metrics.jsonl`: one JSON object per line, for every logged step and every evaluation.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Event, Observer};
use crate::disk;
use crate::error::{Error, Result};
use crate::json;

/// Writes events as JSON lines.
///
/// A step is `{"event": "step", "step": 10, "epoch": 0, "learning_rate": …, "examples_per_second": …,
/// "tokens_per_second": …, "losses": {"total": …, "kd_ce": …}}`, an evaluation `{"event": "evaluation",
/// "step": …, "epoch": …, "accuracy": …}`; tokens are `null` if the batches have no mask, and a non-finite
/// number is `"NaN"`, `"Infinity"` or `"-Infinity"`. Each line is written in one piece, so that another
/// program can follow the file.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: Option<File>,
}

impl MetricsFile {
    /// Creates the file; an existing one is an error and never overwritten.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(|error| Error::file(path, error))?;
        Ok(MetricsFile { path: path.to_owned(), file: Some(file) })
    }

    /// Continues the file of a run whose last checkpoint was after this optimizer step: lines of later steps,
    /// and a truncated line, are dropped, since those steps are repeated.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        Self::resume_at(path, step, true)
    }

    /// Like [`MetricsFile::resume`]; if that step's evaluation is still pending, lines of its evaluation are
    /// dropped too.
    pub(crate) fn resume_at(path: &Path, step: u64, evaluated: bool) -> Result<Self> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::file(path, error)),
        };
        let kept = text.split_inclusive('\n').filter(|line| {
            let value: Option<Value> = serde_json::from_str(line).ok();
            let Some(value) = value.filter(|_| line.ends_with('\n')) else { return false };
            let again = !evaluated && value["event"] == "evaluation" && value["step"] == step;
            value["step"].as_u64().is_some_and(|at| at <= step) && !again
        });
        disk::write(path, kept.collect::<String>().as_bytes())?;
        let file = File::options().append(true).open(path).map_err(|error| Error::file(path, error))?;
        Ok(MetricsFile { path: path.to_owned(), file: Some(file) })
    }

    fn write(&mut self, value: &Value) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(format!("{value}\n").as_bytes()) {
            let _ = writeln!(
                std::io::stderr(),
                "warning: {}: {error}; no further metrics are written",
                self.path.display()
            );
            self.file = None;
        }
    }
}

impl Observer for MetricsFile {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(report) => {
                let Some(losses) = &report.losses else { return };
                let losses: Map<String, Value> =
                    losses.iter().map(|(name, value)| (name.clone(), json::value(*value))).collect();
                self.write(&json!({
                    "event": "step",
                    "step": report.step,
                    "epoch": report.epoch,
                    "learning_rate": json::value(report.learning_rate),
                    "examples_per_second": json::value(report.examples_per_second),
                    "tokens_per_second": report.tokens_per_second.map(json::value),
                    "losses": losses,
                }));
            }
            Event::Evaluated { epoch, step, metric, value } => {
                self.write(&json!({ "event": "evaluation", "step": step, "epoch": epoch, *metric: json::value(*value) }));
            }
            _ => {}
        }
    }
}
