//! The folder of a run: what was asked for, what happened, and the student at the end.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::Named;
use crate::disk;
use crate::error::{Error, Result};

/// A run folder that holds this run and no other.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    moved_aside: Option<PathBuf>,
}

impl RunFolder {
    /// Makes the folder and writes `config.json`, `plan.json` and `plan.dot`; of several tasks
    /// `plans/<task>.json` and `.dot`. What an earlier run left there is moved aside first.
    pub(super) fn create(path: &Path, config: &serde_json::Value, tasks: &[Named<'_>]) -> Result<Self> {
        let moved_aside = if path.join("config.json").exists() { Some(move_aside(path)?) } else { None };
        fs::create_dir_all(path).map_err(|error| Error::file(path, error))?;
        let json = |value: serde_json::Result<String>| value.map_err(|error| Error::file(path, error));
        for named in tasks {
            let (folder, name) = match &named.task {
                Some(task) => (path.join("plans"), task.as_str()),
                None => (path.to_owned(), "plan"),
            };
            let plan = named.work.plan();
            let text = json(serde_json::to_string_pretty(plan))?;
            disk::write(&folder.join(format!("{name}.json")), text.as_bytes())?;
            disk::write(&folder.join(format!("{name}.dot")), plan.to_dot().as_bytes())?;
        }
        disk::write(&path.join("config.json"), json(serde_json::to_string_pretty(config))?.as_bytes())?;
        Ok(RunFolder { path: path.to_owned(), moved_aside })
    }

    /// Where the metrics go.
    pub(super) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Where the checkpoint of this optimizer step goes.
    pub(super) fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join("checkpoints").join(format!("step-{step}"))
    }

    /// Where the student goes at the end.
    pub(super) fn student(&self) -> PathBuf {
        self.path.join("student")
    }

    /// Where the learned projections go at the end, where there are any.
    pub(super) fn projections(&self) -> PathBuf {
        self.path.join("projections.safetensors")
    }

    /// Where an earlier run went.
    pub(super) fn moved_aside(&self) -> Option<&Path> {
        self.moved_aside.as_deref()
    }
}

/// Renames a folder to the first of `name.1`, `name.2`, … that is free.
fn move_aside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let free =
        (1_u32..).map(|number| path.with_file_name(format!("{name}.{number}"))).find(|aside| !aside.exists());
    let aside = free.ok_or_else(|| Error::file(path, "it holds too many earlier runs"))?;
    fs::rename(path, &aside).map_err(|error| Error::file(path, error))?;
    Ok(aside)
}
