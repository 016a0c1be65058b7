//! Hugging Face model folders: what is read from them and how they are written.
//!
//! A folder is `config.json`, the weights in safetensors (one file, or several and an index) and
//! the files of a tokenizer. The tokenizer is none of a model's business, but a saved student is of
//! use only with it: its files are remembered and travel along.

mod checkpoint;
mod names;
mod unread;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(crate) use checkpoint::read_weights;

/// The config of a model folder.
pub(crate) const CONFIG: &str = "config.json";
/// The file that says which shard holds which tensor.
const INDEX: &str = "model.safetensors.index.json";

/// The files of a tokenizer, any of which a folder may have.
const COMPANIONS: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// Reads `config.json`, which must be one JSON object.
pub(crate) fn read_config(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(CONFIG);
    if !path.is_file() {
        return Err(unread::no_config(folder));
    }
    let text = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
    serde_json::from_slice(&text).map_err(|error| Error::file(&path, format!("not a JSON object: {error}")))
}

/// The tokenizer files that a folder has.
pub(crate) fn companions(folder: &Path) -> Vec<PathBuf> {
    COMPANIONS.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// Copies tokenizer files into a folder.
pub(crate) fn copy_companions(companions: &[PathBuf], folder: &Path) -> Result<()> {
    for source in companions {
        let Some(name) = source.file_name() else { continue };
        let bytes = std::fs::read(source).map_err(|error| {
            let advice = "the model was saved, but this file of its tokenizer could not be copied beside it";
            Error::file(source, format!("{advice}: {error}"))
        })?;
        crate::disk::write(&folder.join(name), &bytes)?;
    }
    Ok(())
}
