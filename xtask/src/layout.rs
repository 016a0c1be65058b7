//! A folder laid out from wheels: all of it or nothing.
//!
//! Files are put together in a scratch folder, the version is written last, and then the folder gets
//! its name in one step. A folder without its version is what an interruption left: it is made anew.

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
    /// The folder that the layout fills.
    pub(crate) folder: PathBuf,
    /// Where below the folder its version is written.
    pub(crate) version_file: &'static str,
    /// The version written there.
    pub(crate) version: &'static str,
    /// Other versions that serve as well, if they are there already.
    pub(crate) also_served_by: &'static [&'static str],
    /// What pip fetches.
    pub(crate) wheels: Wheels,
    /// Size of the download in megabytes.
    pub(crate) download_megabytes: u64,
    /// Free space in megabytes: the wheels twice, since pip copies them, what is unpacked, and a build.
    pub(crate) disk_megabytes: u64,
    /// Which files are kept, as [`python::unpack`] takes them.
    pub(crate) keep: &'static [&'static str],
    /// Files without which the folder would be of no use.
    pub(crate) required: &'static [&'static str],
}

impl Layout {
    /// Whether the folder is there, complete.
    pub(crate) fn is_there(&self) -> bool {
        fs::read_to_string(self.folder.join(self.version_file)).is_ok_and(|found| {
            let found = found.trim();
            found == self.version || self.also_served_by.contains(&found)
        })
    }

    /// Makes the folder, replacing what is there.
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
            "Laid out {} in `{}` in {} s",
            self.name,
            self.folder.display(),
            begin.elapsed().as_secs().max(1)
        );
        Ok(())
    }
}

/// Gives the folder `made` the name `folder`, in place of what has it now.
fn put(made: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).at("remove", folder)?;
    }
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    fs::rename(made, folder).at("rename a folder to", folder)
}

/// A folder for work in progress, on the same disk as the result; removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch> {
        let scratch = Scratch(workspace::brew().join("in-progress"));
        scratch.remove();
        fs::create_dir_all(&scratch.0).at("create", &scratch.0)?;
        Ok(scratch)
    }

    fn remove(&self) {
        // Nothing depends on it: a folder that stays behind is removed by the next set-up, and if it
        // cannot be, creating it again says why.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
