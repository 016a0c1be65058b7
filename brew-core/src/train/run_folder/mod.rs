//! The folder of a run: what was asked for, what happened, and the student at the end. It is new, or it
//! holds an unfinished run that is gone on with, or a finished one that is moved aside.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::Kind;

use super::asked::Asked;
use super::caller::Caller;
use super::checkpoint::Read;
use super::settings::Settings;
use super::task::Task;
use crate::disk;
use crate::error::{Error, Result};

const CONFIG: &str = "config.json";
const SUMMARY: &str = "summary.json";
const LOCK: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";

/// What a run writes and would overwrite.
const WRITTEN: [&str; 11] = [
    "metrics.jsonl",
    "plan.json",
    "plan.dot",
    "plans",
    CHECKPOINTS,
    "best",
    "student",
    "projections.safetensors",
    "not-finite",
    "report.html",
    SUMMARY,
];

/// A run folder that this process alone writes to.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// Held for as long as the run goes.
    _lock: File,
    /// The checkpoint to go on from.
    pub(super) resumed: Option<(PathBuf, Read)>,
    /// What a person should know of what was found.
    pub(super) notes: Vec<String>,
    /// The steps of checkpoints that cannot be read.
    damaged: RefCell<BTreeSet<u64>>,
}

impl RunFolder {
    /// The folder that the settings name, opened for this run; `None` where they name none.
    ///
    /// # Errors
    /// Those of [`RunFolder::open`]; a model or data that cannot say what it is.
    pub(super) fn of(
        settings: &Settings<'_>,
        tasks: &[Task<'_>],
        tau: f64,
        precision: Option<Kind>,
        caller: &dyn Caller,
    ) -> Result<Option<Self>> {
        let Some(path) = &settings.run_dir else { return Ok(None) };
        let asked = Asked { settings, tasks, tau, precision, evaluations: caller.evaluations()? };
        Self::open(path, &asked.config()?, tasks, settings.fresh).map(Some)
    }

    /// Opens the folder of a run with this config and these plans.
    ///
    /// An unfinished run of the same is gone on with from its newest checkpoint that is whole; a finished
    /// one, or with `fresh` any, is moved aside. `config.json`, `plan.json` and `plan.dot` are written, of
    /// several tasks `plans/<task>.json` and `.dot`.
    ///
    /// # Errors
    /// Where another process writes to it, or it holds an unfinished run of something else: all that
    /// differs.
    fn open(path: &Path, config: &Value, tasks: &[Task<'_>], fresh: bool) -> Result<Self> {
        let mut notes = Vec::new();
        let mut lock = locked(path)?;
        let (mut resumed, mut damaged) = (None, BTreeSet::new());
        if !path.join(CONFIG).exists() {
            refuse_foreign(path)?;
        } else {
            if fresh || path.join(SUMMARY).exists() {
                let aside = move_aside(path)?;
                notes.push(format!("the folder held a run already; it is now {}", aside.display()));
                lock = locked(path)?;
            } else {
                refuse_another(path, config, tasks)?;
                resumed = newest(&path.join(CHECKPOINTS), &mut damaged, &mut notes)?;
                if resumed.is_none() {
                    notes.push("the folder held a run without a checkpoint; it begins again".to_owned());
                }
            }
        }
        // First the config, by which the folder is known as a run's.
        disk::write(&path.join(CONFIG), pretty(config)?.as_bytes())?;
        for (file, text) in plans(tasks)? {
            disk::write(&path.join(file), text.as_bytes())?;
        }
        Ok(RunFolder { path: path.to_owned(), _lock: lock, resumed, notes, damaged: RefCell::new(damaged) })
    }

    /// Where the metrics go.
    pub(super) fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Where the checkpoint of this optimizer step goes.
    pub(super) fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("step-{step}"))
    }

    /// Removes the checkpoints before the newest so many, now that one of this step was written. Damaged ones
    /// do not count, and those of later steps, which were damaged as the run began, stay until that step is
    /// made again.
    pub(super) fn keep(&self, newest: usize, written: u64) -> Result<()> {
        self.damaged.borrow_mut().remove(&written);
        let damaged = self.damaged.borrow();
        let steps = steps_in(&self.path.join(CHECKPOINTS))?;
        let before = |step: &&u64| **step <= written;
        let whole = steps.iter().filter(before).filter(|step| !damaged.contains(step));
        let Some(oldest) = whole.rev().take(newest).last() else { return Ok(()) };
        for step in steps.iter().filter(|step| *step < oldest) {
            let folder = self.checkpoint(*step);
            // What is half removed must not look like a checkpoint.
            let doomed = folder.with_file_name(format!(".step-{step}.old.tmp"));
            fs::rename(&folder, &doomed)
                .and_then(|()| fs::remove_dir_all(&doomed))
                .map_err(|error| Error::file(&folder, format!("cannot be removed: {error}")))?;
        }
        Ok(())
    }

    /// Where TensorBoard's events go.
    pub(super) fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// Where the report goes at the end.
    pub(super) fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Where a batch goes whose loss was not finite.
    pub(super) fn not_finite(&self, step: u64, index: usize) -> PathBuf {
        self.path.join("not-finite").join(format!("step-{step}-batch-{index}.safetensors"))
    }

    /// Where the best student so far goes.
    pub(super) fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// Where the student goes at the end.
    pub(super) fn student(&self) -> PathBuf {
        self.path.join("student")
    }

    /// Where the learned projections go at the end, where there are any.
    pub(super) fn projections(&self) -> PathBuf {
        self.path.join("projections.safetensors")
    }

    /// Says that the run is over: the folder is not gone on with any more.
    pub(super) fn finish(&self, summary: &crate::observe::Summary) -> Result<()> {
        disk::write(&self.path.join(SUMMARY), pretty(summary)?.as_bytes())
    }
}

/// Refuses a folder that is no run's and holds files of the names that a run writes: they are somebody's.
fn refuse_foreign(path: &Path) -> Result<()> {
    let filled = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    let found: Vec<String> = (WRITTEN.iter())
        // Where the checkpoints' folder should be a file is in the way, and stays.
        .filter(|name| (path.join(name).is_file() && **name != CHECKPOINTS) || filled(&path.join(name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    let message = format!(
        "it holds no run (there is no {CONFIG}), and has files that a run would overwrite: {found}; choose another folder, or move them away"
    );
    Err(Error::file(path, message))
}

/// Takes the folder for this process, and makes it where it is missing.
fn locked(path: &Path) -> Result<File> {
    fs::create_dir_all(path).map_err(|error| Error::file(path, error))?;
    let lock = path.join(LOCK);
    let file = File::options().create(true).append(true).open(&lock);
    let file = file.map_err(|error| Error::file(&lock, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::file(
            path,
            "another process writes a run to this folder: wait for it, or choose another folder",
        )),
        Err(TryLockError::Error(error)) => Err(Error::file(&lock, format!("cannot be locked: {error}"))),
    }
}

/// `plan.json` and `plan.dot`, or those of each task: what was declared, which a run that resumes is compared
/// by, and a drawing of what runs.
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

/// Refuses to go on with a run of another config or another plan.
fn refuse_another(path: &Path, config: &Value, tasks: &[Task<'_>]) -> Result<()> {
    let read = |file: &Path| -> Value {
        let text = fs::read(path.join(file)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    };
    // How often a run is written changes nothing of it.
    let lasting = |mut config: Value| {
        config.as_object_mut().map(|config| config.remove("checkpoints"));
        config
    };
    let mut problems = Vec::new();
    // As it would be read back: what a file cannot hold otherwise is no difference.
    let now = serde_json::from_str(&pretty(config)?).map_err(Error::other)?;
    differences("", &lasting(read(Path::new(CONFIG))), &lasting(now), &mut problems);
    // A run that was killed as it began may have a config alone.
    let begun = path.join(CHECKPOINTS).exists();
    for (file, text) in plans(tasks)?
        .iter()
        .filter(|(file, _)| file.extension().is_some_and(|end| end == "json"))
        .filter(|(file, _)| begun || path.join(file).exists())
    {
        let now = serde_json::from_str(text).unwrap_or_default();
        differences(&format!("{}: ", file.display()), &read(file), &now, &mut problems);
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::OtherRun { path: path.to_owned(), differences: problems })
}

/// Where two values differ, each place with both.
fn differences(at: &str, then: &Value, now: &Value, problems: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            for name in names {
                let of =
                    |values: &serde_json::Map<String, Value>| values.get(name).cloned().unwrap_or_default();
                let at = if at.is_empty() || at.ends_with(": ") {
                    format!("{at}{name}")
                } else {
                    format!("{at}.{name}")
                };
                differences(&at, &of(then), &of(now), problems);
            }
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (index, (then, now)) in then.iter().zip(now).enumerate() {
                differences(&format!("{at}[{index}]"), then, now, problems);
            }
        }
        _ if then != now => problems.push(format!("{at} was {then}, now it is {now}")),
        _ => {}
    }
}

/// The newest checkpoint that is whole; those that are not are noted.
fn newest(
    folder: &Path,
    damaged: &mut BTreeSet<u64>,
    notes: &mut Vec<String>,
) -> Result<Option<(PathBuf, Read)>> {
    for step in steps_in(folder)?.into_iter().rev() {
        let path = folder.join(format!("step-{step}"));
        match Read::from(&path) {
            Ok(read) => return Ok(Some((path, read))),
            Err(error) => {
                damaged.insert(step);
                notes.push(format!("a checkpoint cannot be used, the one before it is: {error}"));
            }
        }
    }
    Ok(None)
}

/// The steps that there are checkpoints of, in order; leftovers of saves that were cut off are removed.
fn steps_in(folder: &Path) -> Result<Vec<u64>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut steps = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::file(folder, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".step-") && name.ends_with(".tmp") {
            let _ = fs::remove_dir_all(entry.path());
        } else if let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) {
            steps.push(step);
        }
    }
    steps.sort_unstable();
    Ok(steps)
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
