//! The bytes of a GGUF file: its header, and its blocks of values.
//!
//! Bytes in, keys and numbers out; no file name, no tensor of libtorch. So `fuzz/` links it alone.

mod blocks;
mod bytes;
mod header;
mod k_blocks;
mod kinds;
mod value;

pub(crate) use header::{Entry, Header};
pub(crate) use kinds::supported;
pub(crate) use value::Value;

#[cfg(test)]
mod tests;
