//! Atomic writes, and the checksums that tell whether a cache file is still what was written.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::bar;

/// Writes a file whole or not at all; see [`brew_core::disk::write_with`].
pub(crate) fn atomically(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>) -> Result<()> {
    brew_core::disk::write_with(path, |path, error| Error::io(path)(error), write)
}

/// Writes a file's checksum beside it, which makes it a valid cache file.
pub(crate) fn seal(path: &Path) -> Result<()> {
    let checksum = checksum(path).map_err(Error::io(path))?;
    let seal = seal_of(path);
    brew_core::disk::write(&seal, checksum.as_bytes()).map_err(|error| Error::format(&seal, error))
}

/// Whether the file has a checksum and still matches it.
pub(crate) fn is_whole(path: &Path) -> bool {
    let written = std::fs::read_to_string(seal_of(path));
    written.is_ok_and(|written| checksum(path).is_ok_and(|found| found == written))
}

fn seal_of(path: &Path) -> PathBuf {
    path.with_extension("blake3")
}

/// The hash of a file's bytes.
fn checksum(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path)?;
    let progress = bar("checking", file.metadata()?.len());
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            read => {
                hasher.update(&bytes[..read]);
                progress.inc(read as u64);
            }
        }
    }
    progress.finish_and_clear();
    Ok(hasher.finalize().to_hex().to_string())
}
