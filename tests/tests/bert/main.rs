//! BERT against Python's transformers: values, folders, students.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod folders;
mod parity;
mod refusals;
mod students;
mod support;
mod transformers_reads_it;
