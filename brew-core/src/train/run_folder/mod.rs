//! The folder of a run: its config, its plan, what happened, and the student at the end.
//!
//! A folder is new, or it holds an unfinished run, which resumes, or a finished one, which is moved aside.

mod kept;
mod other_run;
mod taken;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::kept::newest;
use self::other_run::refuse_another;
use self::taken::{locked, move_aside, refuse_foreign};
use super::checkpoint::ReadCheckpoint;
use super::settings::Settings;
use super::task::Task;
use crate::disk;
use crate::error::{Error, Result};

const CONFIG: &str = "config.json";
const SUMMARY: &str = "summary.json";
const CHECKPOINTS: &str = "checkpoints";

/// A run folder, locked by this process.
#[derive(Debug)]
pub(in crate::train) struct RunFolder {
    path: PathBuf,
    /// Held while the run lasts.
    _lock: File,
    /// The checkpoint to resume from.
    pub(in crate::train) resumed: Option<(PathBuf, ReadCheckpoint)>,
    /// What a person should know about the folder.
    pub(in crate::train) notes: Vec<String>,
    /// The steps of unreadable checkpoints.
    damaged: RefCell<BTreeSet<u64>>,
}

impl RunFolder {
    /// The folder that the settings name, opened for this run; `None` if they name none.
    ///
    /// # Errors
    /// Those of [`RunFolder::open`].
    pub(in crate::train) fn of(
        settings: &Settings<'_>,
        tasks: &[Task<'_>],
        config: &Value,
    ) -> Result<Option<Self>> {
        let Some(path) = &settings.run_dir else { return Ok(None) };
        Self::open(path, config, tasks, settings.fresh).map(Some)
    }

    /// Opens the folder for a run with this config and these plans.
    ///
    /// An unfinished run with the same config and plans resumes from its newest readable checkpoint. A finished
    /// run is moved aside; with `fresh`, any run is. Writes `config.json`, `plan.json` and `plan.dot`, or with
    /// several tasks `plans/<task>.json` and `.dot`.
    ///
    /// # Errors
    /// Another process writes to the folder; it holds a different unfinished run (lists every difference).
    fn open(path: &Path, config: &Value, tasks: &[Task<'_>], fresh: bool) -> Result<Self> {
        let mut notes = Vec::new();
        let mut lock = locked(path)?;
        let (mut resumed, mut damaged) = (None, BTreeSet::new());
        if !path.join(CONFIG).exists() {
            refuse_foreign(path)?;
        } else if fresh || path.join(SUMMARY).exists() {
            let aside = move_aside(path)?;
            notes.push(format!("the folder already held a run, which is now in {}", aside.display()));
            lock = locked(path)?;
        } else {
            refuse_another(path, config, tasks)?;
            resumed = newest(&path.join(CHECKPOINTS), &mut damaged, &mut notes)?;
            if resumed.is_none() {
                notes.push("the folder held a run without a checkpoint; starting over".to_owned());
            }
        }
        // The config comes first: it marks the folder as a run's.
        disk::write(&path.join(CONFIG), pretty(config)?.as_bytes())?;
        for (file, text) in plans(tasks)? {
            disk::write(&path.join(file), text.as_bytes())?;
        }
        Ok(RunFolder { path: path.to_owned(), _lock: lock, resumed, notes, damaged: RefCell::new(damaged) })
    }

    /// The path of the metrics file.
    pub(in crate::train) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The path of this optimizer step's checkpoint.
    pub(in crate::train) fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("step-{step}"))
    }

    /// The folder for TensorBoard events.
    pub(in crate::train) fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// The path of the final report.
    pub(in crate::train) fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The folder of the best student so far.
    pub(in crate::train) fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// The folder of the final student.
    pub(in crate::train) fn student(&self) -> PathBuf {
        self.path.join("student")
    }

    /// Where the learned projections go at the end, if there are any.
    pub(in crate::train) fn projections(&self) -> PathBuf {
        self.path.join("projections.safetensors")
    }

    /// Marks the run as finished, so that it does not resume.
    pub(in crate::train) fn finish(&self, summary: &crate::observe::Summary) -> Result<()> {
        disk::write(&self.path.join(SUMMARY), pretty(summary)?.as_bytes())
    }
}

/// `plan.json` and `plan.dot`, or those of each task: the declared plan, which a resuming run is compared with,
/// and a drawing of the plan that runs.
fn plans(tasks: &[Task<'_>]) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for task in tasks {
        let (folder, name) = match &task.name {
            Some(name) => (PathBuf::from("plans"), name.as_str()),
            None => (PathBuf::new(), "plan"),
        };
        files.push((folder.join(format!("{name}.json")), pretty(task.work.executor().declared())?));
        files.push((folder.join(format!("{name}.dot")), task.work.executor().plan().to_dot()));
    }
    Ok(files)
}

fn pretty(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(Error::other)
}
