//! Text to token ids: the tokenizer of a model folder, and the cache of what it made of a table.

pub(crate) mod cache;
pub(crate) mod tokenize;
pub(crate) mod tokenizer;
