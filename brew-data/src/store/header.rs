//! `cache.json`: identifies the teacher whose rows a folder holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brew_core::cache::{Card, KeptFeature};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Increased when the folder layout changes.
const VERSION: u32 = 2;

/// Maximum bytes of a header: long names and many layers need far less.
const LONGEST: u64 = 1 << 20;

/// Identifies the teacher, as far as a pipeline and its data say.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) tokenizer: Option<String>,
    pub(super) card: Card,
}

/// The header on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    card: Card,
}

/// Only the version, so that a later one is rejected by its number.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Header {
    /// Compares a folder's header with this one, and returns the features of the folder's rows. A folder
    /// without a header gets this one.
    ///
    /// # Errors
    /// The header has another version or cannot be read; or the teacher, tokenizer, or payload differ, with
    /// both values.
    pub(super) fn check(&self, folder: &Path) -> Result<BTreeSet<KeptFeature>> {
        let path = folder.join("cache.json");
        // If two processes find no header, one writes it, and the other compares with that one.
        let _lock = locked(folder)?;
        if !path.exists() {
            let file = File { version: VERSION, tokenizer: self.tokenizer.clone(), card: self.card.clone() };
            let json = serde_json::to_string_pretty(&file).map_err(|error| Error::format(&path, error))?;
            brew_core::disk::write(&path, json.as_bytes()).map_err(|error| Error::format(&path, error))?;
        }
        let unreadable = |error: &dyn std::fmt::Display| {
            let mend = "delete the folder to start a new one";
            Error::format(&path, format!("this is not a teacher cache header: {error}; {mend}"))
        };
        let length = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
        if length > LONGEST {
            return Err(unreadable(&format!("it has {length} bytes")));
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let Version { version } = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        if version != VERSION {
            let message = format!(
                "the cache has version {version}, this program reads version {VERSION}: use another folder"
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
                "the teacher cache belongs to another pipeline; {}; use another folder for this one",
                refusals.join("; ")
            ),
        ))
    }
}

/// Locks the folder's header for this process; creates the folder if necessary.
fn locked(folder: &Path) -> Result<fs::File> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let path = folder.join("cache.lock");
    let file = fs::File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
    file.lock().map_err(Error::io(&path))?;
    Ok(file)
}
