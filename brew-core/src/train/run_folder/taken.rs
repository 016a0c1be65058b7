//! Claims a folder for a run: other people's files are never overwritten, an earlier run is moved aside, and
//! no two processes write to the same folder.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::{CHECKPOINTS, CONFIG, SUMMARY};
use crate::error::{Error, Result};

const LOCK: &str = ".lock";

/// The files that a run writes and would overwrite.
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

/// Refuses a folder that holds no run but has files with the names that a run writes: they are not ours.
pub(super) fn refuse_foreign(path: &Path) -> Result<()> {
    let filled = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    let found: Vec<String> = (WRITTEN.iter())
        // A file called like the folder of checkpoints is not overwritten: creating the folder fails.
        .filter(|name| (path.join(name).is_file() && **name != CHECKPOINTS) || filled(&path.join(name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    let message = format!(
        "it holds no run ({CONFIG} is missing), but has files that a run would overwrite: {found}; choose another folder, or move them away"
    );
    Err(Error::file(path, message))
}

/// Locks the folder for this process, creating it if needed.
pub(super) fn locked(path: &Path) -> Result<File> {
    fs::create_dir_all(path).map_err(|error| Error::file(path, error))?;
    let lock = path.join(LOCK);
    let file = File::options().create(true).append(true).open(&lock);
    let file = file.map_err(|error| Error::file(&lock, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::file(
            path,
            "another process is writing a run to this folder: wait for it, or choose another folder",
        )),
        Err(TryLockError::Error(error)) => Err(Error::file(&lock, format!("cannot be locked: {error}"))),
    }
}

/// Renames a folder to the first free name of `name.1`, `name.2`, ….
pub(super) fn move_aside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let free =
        (1_u32..).map(|number| path.with_file_name(format!("{name}.{number}"))).find(|aside| !aside.exists());
    let aside = free.ok_or_else(|| Error::file(path, "it holds too many earlier runs"))?;
    fs::rename(path, &aside).map_err(|error| Error::file(path, error))?;
    Ok(aside)
}
