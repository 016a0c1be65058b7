//! Text to token ids, the cache of what they were made of, and text straight to a prediction.

pub(crate) mod cache;
pub(crate) mod classifier;
pub(crate) mod tokenize;
pub(crate) mod tokenizer;
