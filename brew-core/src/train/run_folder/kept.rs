//! The checkpoints in a run folder: which is the newest that can be read, and which are removed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{CHECKPOINTS, RunFolder};
use crate::error::{Error, Result};
use crate::train::checkpoint::ReadCheckpoint;

impl RunFolder {
    /// Keeps the `newest` checkpoints up to step `written`, for which one has just been written, and removes the
    /// older ones. Damaged checkpoints do not count. Damaged ones of later steps stay until their step is
    /// reached again.
    pub(in crate::train) fn keep(&self, newest: usize, written: u64) -> Result<()> {
        self.damaged.borrow_mut().remove(&written);
        let damaged = self.damaged.borrow();
        let steps = steps_in(&self.path.join(CHECKPOINTS))?;
        let before = |step: &&u64| **step <= written;
        let whole = steps.iter().filter(before).filter(|step| !damaged.contains(step));
        let Some(oldest) = whole.rev().take(newest).last() else { return Ok(()) };
        for step in steps.iter().filter(|step| *step < oldest) {
            let folder = self.checkpoint(*step);
            // A half-removed folder must not look like a checkpoint.
            let doomed = folder.with_file_name(format!(".step-{step}.old.tmp"));
            fs::rename(&folder, &doomed)
                .and_then(|()| fs::remove_dir_all(&doomed))
                .map_err(|error| Error::file(&folder, format!("cannot be removed: {error}")))?;
        }
        Ok(())
    }
}

/// The newest checkpoint that can be read; those that cannot are added to `damaged` and `notes`.
pub(super) fn newest(
    folder: &Path,
    damaged: &mut BTreeSet<u64>,
    notes: &mut Vec<String>,
) -> Result<Option<(PathBuf, ReadCheckpoint)>> {
    for step in steps_in(folder)?.into_iter().rev() {
        let path = folder.join(format!("step-{step}"));
        match ReadCheckpoint::from(&path) {
            Ok(read) => return Ok(Some((path, read))),
            Err(error) => {
                damaged.insert(step);
                notes.push(format!("a checkpoint cannot be used, so the one before it is: {error}"));
            }
        }
    }
    Ok(None)
}

/// The steps that have checkpoints, in order. Leftovers of interrupted saves are removed.
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
