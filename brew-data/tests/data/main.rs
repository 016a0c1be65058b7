//! What brew-data promises, seen from outside: sources, tokens, order, batches, and bad input.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod advice;
mod aligned;
mod annotated;
mod augmented;
mod bad_input;
mod batches;
mod brought;
mod causal_rows;
mod chat_templates;
mod classifier;
mod codecs;
mod columns;
mod copied;
mod damaged;
mod declared;
mod extremes;
mod folders;
mod formats;
mod identifiers;
mod json_keys;
mod json_tables;
mod loading;
mod masked_lm;
mod meaning;
mod odd_columns;
mod order;
mod packing;
mod padding;
mod patterns;
mod prefetch;
mod recast;
mod resume;
mod reviews;
mod saved;
mod sources;
mod streams;
mod tokenizer_folders;
mod tokenizing;
mod two_tokenizers;
mod widened;

/// Says that a check was skipped, past the test runner, which holds back what a passing test prints.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).expect("standard error");
}
