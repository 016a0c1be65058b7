//! Text to token ids, the cache of what they were made of, and logits back to text.

pub(crate) mod answers;
pub(crate) mod cache;
mod cells;
pub(crate) mod classifier;
pub(crate) mod questions;
pub(crate) mod tokenize;
mod tokenized;
pub(crate) mod tokenizer;
mod tokenizer_folder;
pub(crate) mod words;
