//! Finds the files of a store that match a pattern, whatever prefix their names have.
//!
//! A pattern is text, not a path: `Path` would turn `s3://bucket` into `s3:/bucket`, which no store knows.
//! Only parts with wildcards are looked up; everything else is passed on as written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::storage::Storage;
use crate::error::{Error, Result};

/// Characters that make a name a pattern.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Whether a name has wildcards.
pub(super) fn is_one(path: &Path) -> bool {
    path.to_string_lossy().contains(WILDCARDS)
}

/// The matching files, sorted: `*` matches any characters within one part of a name, `?` one character,
/// `[ab]` one of these, and `{a,b}` one of these words. A leading dot must be written out.
///
/// # Errors
/// The pattern is invalid or matches nothing, or the store fails.
pub(super) fn matching(storage: &dyn Storage, pattern: &Path) -> Result<Vec<PathBuf>> {
    let refused = |message: &dyn std::fmt::Display| Error::format(pattern, message);
    let text = pattern.to_str().ok_or_else(|| refused(&"a pattern must be UTF-8"))?;
    let mut found = vec![String::new()];
    // The parts since the last wildcard, with their slashes.
    let mut plain = String::new();
    let mut parts = text.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if !part.contains(WILDCARDS) {
            plain.push_str(part);
            if !is_last {
                plain.push('/');
            }
            continue;
        }
        if part.contains("**") {
            let message = "`**` is not supported: write one `*` for each level of folders";
            return Err(refused(&message));
        }
        let glob = GlobBuilder::new(part).literal_separator(true).backslash_escape(false).build();
        let glob = glob.map_err(|error| refused(&error))?.compile_matcher();
        let mut next = Vec::new();
        for folder in &found {
            next.extend(names(storage, &format!("{folder}{plain}"), part, &glob)?);
        }
        found = next;
        plain.clear();
        if !is_last {
            plain.push('/');
        }
    }
    let mut files = Vec::with_capacity(found.len());
    for name in found {
        let name = PathBuf::from(name + &plain);
        match storage.open(&name) {
            Ok(_) => files.push(name),
            Err(error) if is_no_file(error.kind()) => {}
            Err(error) => return Err(Error::io(name)(error)),
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(refused(&"no file matches this pattern"));
    }
    Ok(files)
}

/// The full names in a folder whose last part matches; none if it is not a folder.
fn names(storage: &dyn Storage, folder: &str, part: &str, glob: &GlobMatcher) -> Result<Vec<String>> {
    // The root keeps its slash; any other folder loses its trailing one.
    let listed = if folder == "/" { folder } else { folder.strip_suffix('/').unwrap_or(folder) };
    let listed = match storage.list(Path::new(listed)) {
        Ok(listed) => listed,
        Err(error) if is_no_file(error.kind()) => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(listed)(error)),
    };
    let last_parts = listed.iter().filter_map(|name| name.file_name()?.to_str());
    let matching =
        last_parts.filter(|name| glob.is_match(name) && name.starts_with('.') == part.starts_with('.'));
    Ok(matching.map(|name| format!("{folder}{name}")).collect())
}

fn is_no_file(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}
