//! Atomic writes of files and folders: a crash never leaves half of one.
//!
//! A file is written under a temporary name in the same folder, synced, and renamed: a reader of the folder
//! finds either the old file or the new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file atomically, replacing any of the same name. Creates the folder if it is missing.
///
/// # Errors
/// [`Error::File`] with the reason; an older file is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let refused = |_: &Path, error| Error::file(path, format!("cannot be written: {error}"));
    write_with(path, refused, |file| file.write_all(bytes).map_err(|error| refused(path, error)))
}

/// Like [`write()`], but the closure `write` writes the contents piece by piece, with the caller's own error
/// type; `refused` converts errors of the system to it.
///
/// # Errors
/// The first error; an older file is then unchanged.
pub fn write_with<E>(
    path: &Path,
    refused: impl Fn(&Path, io::Error) -> E,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two processes or threads may write the same file at the same time.
    let owner = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    let temporary = folder.join(format!(".{name}.{}.tmp", owner.replace(['(', ')'], "")));
    let outcome = File::create(&temporary).map_err(|error| refused(&temporary, error)).and_then(|file| {
        let mut buffered = BufWriter::new(&file);
        write(&mut buffered)?;
        buffered.flush().map_err(|error| refused(&temporary, error))?;
        drop(buffered);
        file.sync_all().map_err(|error| refused(&temporary, error))?;
        fs::rename(&temporary, path).map_err(|error| refused(path, error))?;
        // The rename itself is safe on disk only once the folder is synced too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| refused(folder, error))
    });
    if outcome.is_err() {
        // The first error is the one to report; a leftover file is harmless.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Writes a folder atomically: `write` fills a folder with a temporary name, which is then renamed. An
/// existing folder of that name is replaced once the new one is complete.
///
/// # Errors
/// The first error of `write`, or [`Error::File`] for errors of the system; an older folder is then
/// unchanged.
pub fn write_folder(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let refused = |path: &Path, error: io::Error| Error::file(path, format!("cannot be written: {error}"));
    // Leftovers of a crash under this name must not become part of the new folder.
    let emptied = if temporary.exists() { fs::remove_dir_all(&temporary) } else { Ok(()) };
    let made = emptied.and_then(|()| fs::create_dir_all(&temporary));
    let outcome = made.map_err(|error| refused(&temporary, error)).and_then(|()| {
        write(&temporary)?;
        if path.exists() {
            fs::remove_dir_all(path).map_err(|error| refused(path, error))?;
        }
        fs::rename(&temporary, path).map_err(|error| refused(path, error))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| refused(parent, error))
    });
    if outcome.is_err() {
        // The first error is the one to report; a leftover folder is harmless.
        let _ = fs::remove_dir_all(&temporary);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_folder_is_there_whole_or_as_it_was_before() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("step-1");
        // Left behind by a dead process with the same id.
        let left = place.path().join(format!(".step-1.{}.tmp", std::process::id()));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "of something").unwrap();
        write_folder(&folder, |inside| write(&inside.join("first"), b"1")).unwrap();
        assert_eq!(names(&folder), ["first"]);

        let error = write_folder(&folder, |inside| {
            write(&inside.join("second"), b"2")?;
            Err(Error::invalid("the disk is full"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");
        assert_eq!(names(&folder), ["first"]);

        write_folder(&folder, |inside| write(&inside.join("second"), b"2")).unwrap();
        assert_eq!(names(&folder), ["second"]);
        assert_eq!(names(place.path()), ["step-1"]);
    }
}
