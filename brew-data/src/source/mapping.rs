//! Maps files into memory, and checks that they have not shrunk.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use arrow::buffer::Buffer;
use bytes::Bytes;
use memmap2::Mmap;

use super::storage::{Object, ObjectReader};
use crate::error::{Error, Result};

/// A file as it was when it was mapped.
#[derive(Debug)]
pub(crate) struct Mapping {
    path: PathBuf,
    length: u64,
    /// The file's identity, whatever its name refers to now.
    identity: (u64, u64),
}

/// The bytes of an object: mapped if it is a local file, otherwise read into memory.
///
/// brew replaces its own files by renaming, never in place, so a mapping keeps its bytes. [`Mapping::check`]
/// detects a file that another program has shortened, before each epoch and each batch; a file that shrinks
/// between this check and the read still ends the process with a bus error.
///
/// # Errors
/// The file cannot be mapped or read.
#[expect(unsafe_code, reason = "mapping a file is unsafe because others may change it")]
pub(crate) fn map(object: &dyn Object, path: &Path) -> Result<(Buffer, Option<Mapping>)> {
    let Some(file) = object.file() else {
        let bytes = object.range(0..object.length()).map_err(Error::io(path))?;
        return Ok((Buffer::from(bytes), None));
    };
    let identity = identity(&file.metadata().map_err(Error::io(path))?);
    // SAFETY: the mapping is private to this process and only read. brew replaces its own files by
    // renaming. That nobody else writes to the file while it is open is the caller's promise, stated at
    // `Dataset::open`.
    let mapped = unsafe { Mmap::map(file) }.map_err(Error::io(path))?;
    let mapping = Mapping { path: path.to_owned(), length: mapped.len() as u64, identity };
    Ok((Buffer::from(Bytes::from_owner(mapped)), Some(mapping)))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Mapping {
    /// Fails if the file is shorter than when it was mapped. A file that was replaced or removed keeps its
    /// bytes while it is mapped.
    pub(crate) fn check(&self) -> Result<()> {
        let Ok(metadata) = std::fs::metadata(&self.path) else { return Ok(()) };
        if identity(&metadata) != self.identity || metadata.len() >= self.length {
            return Ok(());
        }
        let message = format!(
            "the file had {} bytes when it was opened and has {} now: it was changed while in use; write a \
             new file and rename it into place instead",
            self.length,
            metadata.len()
        );
        Err(Error::format(&self.path, message))
    }
}

/// The hash of an object's bytes.
pub(crate) fn hash(object: &std::sync::Arc<dyn Object>, path: &Path, about: &str) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(about.as_bytes());
    hasher.update_reader(ObjectReader::new(object.clone(), 0)).map_err(Error::io(path))?;
    Ok(hasher.finalize().to_hex().to_string())
}
