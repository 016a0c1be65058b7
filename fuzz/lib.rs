//! brew-data's parsers, from its source files, without the rest of the crate.

#![allow(dead_code, missing_docs, reason = "the parsers' own crate uses and documents all of them")]

#[path = "../brew-data/src/parse/mod.rs"]
mod parse;

pub mod drive;
