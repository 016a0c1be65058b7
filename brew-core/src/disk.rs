//! Writing files so that a crash never leaves half of one.
//!
//! A file is written under a temporary name in the same folder, synced, and renamed: whoever reads
//! the folder finds the old file or the new one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a whole file in one step, over an older one of the same name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename itself is safe on disk only once the folder is synced too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|error| {
        // The partial file is of no use to anybody; the error that matters is the first one.
        let _ = fs::remove_file(&partial);
        Error::file(path, format!("cannot be written: {error}"))
    })
}
