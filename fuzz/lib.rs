//! The parsers of brew-data and brew-core, from their source files, without the rest of the crates.

#![allow(dead_code, missing_docs, reason = "the parsers' own crate uses and documents all of them")]

#[path = "../brew-data/src/parse/mod.rs"]
mod parse;

mod gguf {
    #[path = "../../brew-core/src/gguf/parse/mod.rs"]
    pub(crate) mod parse;
}

pub mod drive;
pub mod drive_gguf;
