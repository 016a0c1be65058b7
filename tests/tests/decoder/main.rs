//! Language models against Python's transformers: values, folders, students.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod by_formula;
mod cached;
mod checkpointing;
mod chunked;
mod counted;
mod defects;
mod denominators;
mod distilled;
mod folders;
mod generated;
mod generation_refusals;
mod half;
mod influence;
mod masks;
mod measured;
mod packed;
mod parity;
mod places;
mod processors;
mod smollm2;
mod students;
mod support;
mod sweep;
mod texts;
mod two_tokenizers;
