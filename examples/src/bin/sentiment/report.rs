//! The report: a JSON object a stage, added to what the file holds of other stages.

use std::fs;
use std::path::Path;

use brew_core::observe::Summary;
use brew_core::{Error, Result};
use serde_json::{Map, Value, json};

/// Adds a stage to the report, in place of what it said of that stage before.
pub(crate) fn write(
    path: &Path,
    stage: &str,
    accuracy: f64,
    summary: &Summary,
    parameters: usize,
) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::file(path, error);
    let mut report: Map<String, Value> = match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            failed(&format!("it is not a report of this program ({error}): name another file or remove it"))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(failed(&error)),
    };
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
