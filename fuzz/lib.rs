//! The parsers of brew-data and brew-core, from their source files, without the rest of the crates.

#![allow(dead_code, missing_docs, unused_imports, reason = "the parsers' own crate uses and documents all of them")]

#[path = "../brew-data/src/parse/mod.rs"]
mod parse;

#[path = "../brew-core/src/gguf/parse/mod.rs"]
mod gguf_parse;

mod gguf {
    pub(crate) use crate::gguf_parse as parse;
}

pub mod drive;
pub mod drive_gguf;
