//! Hugging Face model folders: reading and writing them.
//!
//! A folder contains `config.json`, the weights as safetensors (one file, or several and an index) and the
//! files of the tokenizer and of generation. A model does not need those, but a saved student is useful only
//! with them, so they are copied along.

mod checkpoint;
mod files;
mod names;
mod unread;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::disk;
use crate::error::{Error, Result};
use crate::gguf::{self, Gguf};

pub(crate) use checkpoint::{read_file, read_weights};
pub use files::ModelFiles;
pub(crate) use names::Layout;

/// The config of a model folder.
pub(crate) const CONFIG: &str = "config.json";
/// The file that maps tensors to shards.
const INDEX: &str = "model.safetensors.index.json";

/// Files of the tokenizer and of generation that a folder may have.
const COMPANIONS: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
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

/// The files of this kind that a folder has. A GGUF file stands for its own.
pub(crate) fn companions(folder: &Path) -> Vec<PathBuf> {
    if gguf::is_gguf(folder) {
        return vec![folder.to_owned()];
    }
    COMPANIONS.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// Copies such files into a folder, beside the saved model.
pub(crate) fn copy_companions(companions: &[PathBuf], folder: &Path) -> Result<()> {
    companions.iter().try_for_each(|source| {
        let copied = if gguf::is_gguf(source) { unpack(source, folder) } else { copy(source, folder) };
        copied.map_err(|error| {
            Error::invalid(format!("the model was saved, but not all of its tokenizer: {error}"))
        })
    })
}

/// Writes the files that a GGUF file stands for.
fn unpack(source: &Path, folder: &Path) -> Result<()> {
    let file = Gguf::open(source)?;
    for (name, bytes) in file.companions() {
        if let Some(bytes) = bytes? {
            disk::write(&folder.join(name), &bytes)?;
        }
    }
    Ok(())
}

fn copy(source: &Path, folder: &Path) -> Result<()> {
    let Some(name) = source.file_name() else { return Ok(()) };
    let bytes = std::fs::read(source).map_err(|error| Error::file(source, error))?;
    disk::write(&folder.join(name), &bytes)
}
