//! The report: one JSON object per stage, added to those of other stages in the file.

use std::fs;
use std::path::Path;

use brew_core::observe::Summary;
use brew_core::{Error, Result};
use serde_json::{Map, Value, json};

/// Adds a stage to the report, replacing its earlier entry.
pub(crate) fn write(
    path: &Path,
    stage: &str,
    accuracy: f64,
    summary: &Summary,
    parameters: usize,
) -> Result<()> {
    let mut report = read(path)?;
    report.insert(
        stage.to_owned(),
        json!({
            "accuracy": accuracy,
            "examples_per_second": summary.examples_per_second,
            "seconds": summary.seconds,
            "parameters": parameters,
            "steps": summary.steps,
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
