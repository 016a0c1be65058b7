//! BERT's family against Python's transformers: values, folders, students.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod architectures;
mod brought;
mod counted;
mod folders;
mod freezing;
mod hard_loss;
mod headless;
mod heads;
mod masked;
mod masked_folders;
mod masked_students;
mod new_models;
mod padding;
mod parity;
mod pipelines;
mod precision;
mod predictions;
mod problems;
mod refusals;
mod students;
mod support;
mod sweep;
mod tasks;
mod transformers_reads_it;
