//! Turns text into token ids, caches them, and turns logits back into text.

pub(crate) mod answers;
pub(crate) mod cache;
pub(crate) mod causal;
mod cells;
pub(crate) mod chat;
pub(crate) mod classifier;
pub(crate) mod generator;
mod nested;
mod packing;
mod pairs;
pub(crate) mod questions;
mod streamed;
pub(crate) mod tokenize;
mod tokenized;
pub(crate) mod tokenizer;
mod tokenizer_folder;
pub(crate) mod words;
