//! The files of a model, in a Hugging Face folder or in a GGUF file that stands for one.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gguf::{self, Gguf};

/// The files of a model that are not its weights: of a Hugging Face folder, or those that a GGUF file stands for. A GGUF
/// file has `config.json`, `generation_config.json`, `tokenizer_config.json` with the chat template, and
/// `tokenizer.json`.
///
/// ```
/// use brew_core::model::ModelFiles;
///
/// # fn main() -> brew_core::Result<()> {
/// # let folder = std::env::temp_dir().join("brew-model-files");
/// # std::fs::create_dir_all(&folder).unwrap();
/// # std::fs::write(folder.join("generation_config.json"), "{}").unwrap();
/// let files = ModelFiles::open(folder)?;
/// assert_eq!(files.read("generation_config.json")?, Some(b"{}".to_vec()));
/// assert_eq!(files.read("chat_template.jinja")?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ModelFiles {
    path: PathBuf,
    gguf: Option<Gguf>,
}

impl ModelFiles {
    /// The files of the folder or the GGUF file at this path.
    ///
    /// # Errors
    /// There is neither, or the GGUF file is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let gguf = if gguf::is_gguf(&path) {
            Some(Gguf::open(&path)?)
        } else if path.is_dir() {
            None
        } else {
            return Err(Error::file(path, "there is no such folder"));
        };
        Ok(ModelFiles { path, gguf })
    }

    /// The content of a file, by its name in a folder; `None` if the model has none.
    ///
    /// # Errors
    /// It cannot be read, or is of a kind that is not supported in GGUF files.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if let Some(gguf) = &self.gguf {
            return gguf.file_of_folder(name);
        }
        let path = self.path.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read(&path).map(Some).map_err(|error| Error::file(path, error))
    }

    /// Where a file of this name is, for messages: in the folder, or the GGUF file.
    pub fn place(&self, name: &str) -> PathBuf {
        if self.gguf.is_some() { self.path.clone() } else { self.path.join(name) }
    }
}
