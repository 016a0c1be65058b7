//! The loop from outside: epochs, steps, checkpoints, callbacks, runs in a row, and several tasks.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

mod basic_trainer;
mod buffers;
mod callbacks;
mod checkpoints;
mod epochs;
mod evaluations;
mod metrics_of_heads;
mod not_finite;
mod other_batches;
mod repeats;
mod resumed;
mod spans;
mod steps;
mod student_dropout;
mod support;
mod tasks;
mod two_heads;
mod vocabularies;
mod watched;
