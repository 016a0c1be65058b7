//! The report: one JSON object per stage, added to those of other stages in the file.

use std::fs;
use std::path::Path;

use brew_core::{Error, Result};
use examples::classify::{Stage, Trained};
use serde_json::{Map, Value, json};

/// Adds a stage to the report, replacing its earlier entry.
pub(crate) fn write(path: &Path, stage: Stage, trained: &Trained) -> Result<()> {
    let mut report = read(path)?;
    let key = match stage {
        Stage::Teacher => "teacher",
        Stage::Plain => "plain",
        Stage::Distill => "distill",
    };
    report.insert(
        key.to_owned(),
        json!({
            "accuracy": trained.value,
            "examples_per_second": trained.summary.examples_per_second,
            "seconds": trained.summary.seconds,
            "parameters": trained.parameters,
            "steps": trained.summary.steps,
        }),
    );
    brew_core::disk::write(path, format!("{:#}\n", Value::Object(report)).as_bytes())
}

/// The report so far; empty if there is none yet.
pub(crate) fn read(path: &Path) -> Result<Map<String, Value>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            let mend = "name another file or remove it";
            Error::file(path, format!("it is not a report of this program ({error}): {mend}"))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(error) => Err(Error::file(path, error)),
    }
}
