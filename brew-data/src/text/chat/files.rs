//! The chat templates of a model's folder or GGUF file.
//!
//! As in transformers, `chat_template.jinja` and the files of `additional_chat_templates` come first; otherwise
//! `chat_template` in `tokenizer_config.json` is one template, or a list of named ones.

use std::path::{Path, PathBuf};

use brew_core::model::ModelFiles;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The name of the template that is used unless another is.
pub(super) const DEFAULT: &str = "default";

/// A template and where it stands.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) path: PathBuf,
    /// Whether the template is a file of its own, whose lines errors name.
    pub(super) is_file: bool,
}

/// The part of `tokenizer_config.json` that is read here.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    chat_template: Option<Stated>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stated {
    One(String),
    Named(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

/// Every template of the model at this path.
pub(super) fn read(files: &ModelFiles, folder: &Path) -> Result<Vec<Source>> {
    let (file, more) = (folder.join("chat_template.jinja"), folder.join("additional_chat_templates"));
    let mut sources = Vec::new();
    if file.is_file() {
        sources.push(of_file(DEFAULT.to_owned(), file)?);
    }
    if more.is_dir() {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&more).map_err(Error::io(&more))? {
            files.push(entry.map_err(Error::io(&more))?.path());
        }
        files.sort();
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "jinja")) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            sources.push(of_file(name, path)?);
        }
    }
    let settings = files.read("tokenizer_config.json").map_err(Error::of_model)?;
    if let Some(bytes) = settings.filter(|_| sources.is_empty()) {
        let config = files.place("tokenizer_config.json");
        let message = |error| {
            format!(
                "its `chat_template` must be text, or a list of objects with `name` and `template`: {error}"
            )
        };
        let stated: Config =
            serde_json::from_slice(&bytes).map_err(|error| Error::format(&config, message(error)))?;
        let of = |name: String, text| Source { name, text, path: config.clone(), is_file: false };
        match stated.chat_template {
            Some(Stated::One(text)) => sources.push(of(DEFAULT.to_owned(), text)),
            Some(Stated::Named(named)) => {
                sources.extend(named.into_iter().map(|one| of(one.name, one.template)));
            }
            None => {}
        }
    }
    if sources.is_empty() {
        let message = "there is no chat template: a folder has it in `chat_template.jinja` or as `chat_template` in \
                       `tokenizer_config.json`, a GGUF file as `tokenizer.chat_template`. Add that of the model that \
                       was trained on chats, or pass the template's text to `ChatTemplate::new`";
        return Err(Error::format(folder, message));
    }
    Ok(sources)
}

fn of_file(name: String, path: PathBuf) -> Result<Source> {
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    Ok(Source { name, text, path, is_file: true })
}
