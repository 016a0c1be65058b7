//! The tokenizer that a model's folder describes, assembled as in Python's transformers 5.24.
//!
//! `tokenizer.json` alone is not enough: for BERT's and RoBERTa's classes, `tokenizer_config.json` decides on
//! lowercasing, accents, spaces, and special tokens, whatever `tokenizer.json` says, and older folders have
//! only the vocabulary. A GGUF file has the same files as far as they concern it. `settings.rs` reads the files beside the tokenizer, `build.rs` assembles it.

mod build;
mod settings;

use std::path::{Path, PathBuf};

use brew_core::model::ModelFiles;
use tokenizers::{Tokenizer, TruncationDirection};

use self::build::Parts;
use self::settings::{Class, NAMED, TokenizerSettings};
use crate::error::{Error, Result};

/// A tokenizer with its folder's settings.
pub(super) struct FoundTokenizer {
    pub(super) inner: Tokenizer,
    /// What errors name.
    pub(super) path: PathBuf,
    /// The side from which texts are truncated.
    pub(super) cut: TruncationDirection,
    /// The model's maximum length, if the folder says it.
    pub(super) longest: Option<usize>,
    /// The id of the token that ends a text.
    pub(super) eos: Option<u32>,
}

/// Reads the tokenizer of a folder or of a GGUF file.
pub(super) fn read(folder: &Path) -> Result<FoundTokenizer> {
    let files = ModelFiles::open(folder).map_err(Error::of_model)?;
    let mut settings = TokenizerSettings::read(&files)?;
    let json = files.place("tokenizer.json");
    let [words, vocabulary, merges] = ["vocab.txt", "vocab.json", "merges.txt"].map(|name| folder.join(name));
    let (path, parts) = if let Some(bytes) = files.read("tokenizer.json").map_err(Error::of_model)? {
        let parts = Parts::of_json(&bytes, &json, &settings)?;
        (json, parts)
    } else if words.is_file() && settings.class.is_none_or(|class| class == Class::Bert) && !has_codes(folder)
    {
        let parts = Parts::of_words(&words, &settings)?;
        (words, parts)
    } else if vocabulary.is_file()
        && merges.is_file()
        && settings.class.is_none_or(|class| class == Class::Roberta)
    {
        let parts = Parts::of_merges(&vocabulary, &merges)?;
        (vocabulary, parts)
    } else {
        return Err(no_tokenizer(folder, &settings));
    };
    settings.class = Some(parts.class());
    let mut found = build::put_together(parts, &settings, &path)?;
    let cut = found.get_truncation().map_or(TruncationDirection::Right, |truncation| truncation.direction);
    found.with_padding(None);
    found.with_truncation(None).map_err(|error| Error::format(&path, error))?;
    let eos = settings.named("eos_token").and_then(|token| found.token_to_id(&token.content));
    let (cut, longest) = (settings.cut().unwrap_or(cut), settings.longest());
    Ok(FoundTokenizer { inner: found, path, cut, longest, eos })
}

/// The named special tokens of a model's settings, as chat templates read them.
pub(super) fn special_tokens(files: &ModelFiles) -> Result<Vec<(String, String)>> {
    let settings = TokenizerSettings::read(files)?;
    let named = NAMED.iter().filter_map(|name| Some(((*name).to_owned(), settings.named(name)?.content)));
    Ok(named.collect())
}

/// Whether the folder has BPE codes, as PhoBERT and BERTweet do: its `vocab.txt` is not BERT's.
fn has_codes(folder: &Path) -> bool {
    folder.join("bpe.codes").is_file()
}

fn no_tokenizer(folder: &Path, settings: &TokenizerSettings) -> Error {
    if !folder.is_dir() {
        return Error::format(
            folder,
            "the file has no tokenizer: take it from a folder of the original model",
        );
    }
    let pieces = [
        "sentencepiece.bpe.model",
        "spiece.model",
        "tokenizer.model",
        "bpe.codes",
        "vocab.txt",
        "vocab.json",
    ];
    let found: Vec<_> = pieces
        .into_iter()
        .filter(|name| folder.join(name).is_file())
        .map(|name| format!("`{name}`"))
        .collect();
    if found.is_empty() {
        let message = "the folder has no tokenizer: copy `tokenizer.json` of the pretrained model into it";
        return Error::format(folder, message);
    }
    let class = settings.name.as_ref().map(|name| format!(" of a {name}")).unwrap_or_default();
    let path = folder.display().to_string().replace('\'', r"'\''");
    Error::format(
        folder,
        format!(
            "there is no `tokenizer.json`, and {}{class} is not supported. Convert it once with transformers:\n  \
             python -c \"import sys; from transformers import AutoTokenizer as A; \
             A.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])\" '{path}'",
            found.join(" with ")
        ),
    )
}
