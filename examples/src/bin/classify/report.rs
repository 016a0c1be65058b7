//! The report: what the labels mean, and one JSON object per model.

use std::path::Path;

use brew_core::{Error, Result};
use examples::classify::{Compared, Course, Stage, Trained};
use serde_json::{Map, Value, json};

/// Refuses a report that could not be written in the end.
pub(crate) fn check(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(folder) if !folder.is_dir() => {
            Err(Error::file(folder, "the folder of the report does not exist: make it"))
        }
        _ if path.is_dir() => Err(Error::file(path, "the report would be a file, and this is a folder")),
        _ => Ok(()),
    }
}

/// Writes the report. What a teacher that was trained earlier cost is null.
pub(crate) fn write(
    path: &Path,
    course: &Course,
    trained: &[(Stage, Trained)],
    compared: &[Compared],
) -> Result<()> {
    let labels = &course.texts.labels;
    let mut report = Map::new();
    report.insert("labels".to_owned(), json!(labels.problem()));
    report.insert("classes".to_owned(), json!(labels.names()));
    report.insert("training_rows".to_owned(), json!(course.texts.train.rows()));
    report.insert("development_rows".to_owned(), json!(course.texts.dev.rows()));
    for Compared { stage, metrics, agreement, parameters } in compared {
        let summary = trained.iter().find(|(of, _)| of == stage).map(|(_, trained)| &trained.summary);
        let mut entry: Map<String, Value> =
            metrics.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        entry.extend([
            ("agreement".to_owned(), json!(agreement)),
            ("seconds".to_owned(), json!(summary.map(|summary| summary.seconds))),
            ("examples_per_second".to_owned(), json!(summary.map(|summary| summary.examples_per_second))),
            ("steps".to_owned(), json!(summary.map(|summary| summary.steps))),
            ("parameters".to_owned(), json!(parameters)),
        ]);
        report.insert(key(*stage).to_owned(), Value::Object(entry));
    }
    brew_core::disk::write(path, format!("{:#}\n", Value::Object(report)).as_bytes())
}

fn key(stage: Stage) -> &'static str {
    match stage {
        Stage::Teacher => "teacher",
        Stage::Plain => "plain",
        Stage::Distill => "distilled",
    }
}
