//! `cache.json`: whose rows a folder holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brew_core::cache::{Card, Keep};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Raised when the layout of a folder changes.
const VERSION: u32 = 2;

/// Bytes of the longest header that is read: the longest names and many layers need far less.
const LONGEST: u64 = 1 << 20;

/// Whose rows they are, as far as a pipeline and its data say.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) tokenizer: Option<String>,
    pub(super) card: Card,
}

/// The header as it is on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    card: Card,
}

/// The version alone, so that a later one is refused by its number.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Header {
    /// Compares a folder's header with this one, and gives the features that the folder's rows have; a
    /// folder without a header gets this one.
    ///
    /// # Errors
    /// A header of another version, one that cannot be read, and rows of another teacher, tokenizer or
    /// payload, with both sides' values.
    pub(super) fn check(&self, folder: &Path) -> Result<BTreeSet<Keep>> {
        let path = folder.join("cache.json");
        // Of two processes that find no header one writes it, and the other compares with that one.
        let _lock = locked(folder)?;
        if !path.exists() {
            let file = File { version: VERSION, tokenizer: self.tokenizer.clone(), card: self.card.clone() };
            let json = serde_json::to_string_pretty(&file).map_err(|error| Error::format(&path, error))?;
            brew_core::disk::write(&path, json.as_bytes()).map_err(|error| Error::format(&path, error))?;
        }
        let unreadable = |error: &dyn std::fmt::Display| {
            let mend = "delete the folder to begin a new one";
            Error::format(&path, format!("this is no header of a teacher cache: {error}; {mend}"))
        };
        let length = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        if length > LONGEST {
            return Err(unreadable(&format!("it has {length} bytes")));
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let Version { version } = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        if version != VERSION {
            let message = format!(
                "the cache has version {version}, this program reads version {VERSION}: give another folder"
            );
            return Err(Error::format(&path, message));
        }
        let stored: File = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        let mut refusals = stored.card.refusals(&self.card);
        if let (Some(stored), Some(asked)) = (&stored.tokenizer, &self.tokenizer)
            && stored != asked
        {
            refusals
                .push(format!("the tokenizer (hash): `{stored}` in the cache, `{asked}` in this pipeline"));
        }
        if refusals.is_empty() {
            return Ok(stored.card.keeps);
        }
        Err(Error::format(
            folder,
            format!(
                "the teacher cache belongs to another pipeline; {}; give this one another folder",
                refusals.join("; ")
            ),
        ))
    }
}

/// Takes the folder's header for this process, and makes the folder where it is missing.
fn locked(folder: &Path) -> Result<fs::File> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let path = folder.join("cache.lock");
    let file = fs::File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
    file.lock().map_err(Error::io(&path))?;
    Ok(file)
}
