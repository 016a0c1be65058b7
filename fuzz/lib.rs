//! brew-data's parsers, as its own files, without the rest of it.

#![allow(dead_code, missing_docs, reason = "the parsers' own crate uses and documents all of them")]

#[path = "../brew-data/src/parse/mod.rs"]
mod parse;

pub mod drive;
