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
    let folder = parent_of(path);
    fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", owner()));
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
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", owner()));
    let refused = |path: &Path, error: io::Error| Error::file(path, format!("cannot be written: {error}"));
    // Leftovers of a crash under this name must not become part of the new folder.
    let emptied = if temporary.exists() { fs::remove_dir_all(&temporary) } else { Ok(()) };
    let made = emptied.and_then(|()| fs::create_dir_all(&temporary));
    let outcome = made.map_err(|error| refused(&temporary, error)).and_then(|()| {
        write(&temporary)?;
        replace(&temporary, path).map_err(|error| refused(path, error))?;
        let parent = parent_of(path);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| refused(parent, error))
    });
    if outcome.is_err() {
        // The first error is the one to report; a leftover folder is harmless.
        let _ = fs::remove_dir_all(&temporary);
    }
    outcome
}

/// Waits until no other process or thread replaces this folder, until the guard is dropped: the ranks of a run save the
/// same. A file system that knows no locks is used without.
///
/// # Errors
/// [`Error::File`] if the folder that it is in cannot be made.
pub(crate) fn turn(path: &Path) -> Result<Option<File>> {
    let parent = parent_of(path);
    fs::create_dir_all(parent).map_err(|error| Error::file(parent, format!("cannot be written: {error}")))?;
    Ok(File::open(parent).ok().filter(|parent| parent.lock().is_ok()))
}

/// How often another writer may come in between.
const TRIES: usize = 100;

/// Puts a complete folder in the place of another, which another writer may remove or replace meanwhile.
fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
    let mut tries = 0;
    loop {
        let removed = match fs::remove_dir_all(path) {
            Err(error) if error.kind() == NotFound => Ok(()),
            other => other,
        };
        match removed.and_then(|()| fs::rename(temporary, path)) {
            Err(error)
                if tries < TRIES && matches!(error.kind(), DirectoryNotEmpty | AlreadyExists | NotFound) =>
            {
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// The folder that a file or folder is in.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whose temporary files these are: two processes or threads may write under the same name at the same time.
fn owner() -> String {
    format!("{}-{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], "")
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
        let left = place.path().join(format!(".step-1.{}.tmp", owner()));
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
    #[test]
    fn several_may_write_the_same_folder_at_the_same_time() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("student");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        write_folder(&folder, |inside| write(&inside.join("weights"), b"1")).unwrap();
                    }
                });
            }
        });
        assert_eq!((names(&folder), names(place.path())), (vec!["weights".into()], vec!["student".into()]));
    }
}
