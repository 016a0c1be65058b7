//! Language models against Python's transformers: values, folders, students.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod by_formula;
mod checkpointing;
mod counted;
mod distilled;

mod folders;
mod half;
mod influence;
mod parity;
mod places;
mod students;
mod support;
mod sweep;
