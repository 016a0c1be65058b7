//! GGUF files: a language model in one file, with its config, its tokenizer and its chat template.
//!
//! `parse/` reads keys, the list of tensors, and blocks of quantised numbers. The other files
//! say in Hugging Face's terms what a file holds: `config.rs` and `rope.rs` its `config.json`, `names.rs` its
//! parameters, `tokenizer.rs` and `settings.rs` the files beside them. The format is that of llama.cpp.

mod config;
mod file;
mod names;
mod parse;
mod pre_tokenizer;
mod rope;
mod settings;
mod tokenizer;
mod weights;

use std::path::Path;

pub(crate) use file::Gguf;
pub(crate) use names::name_in_file;

/// Whether a path is that of a GGUF file rather than of a model's folder.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) && !path.is_dir()
}
