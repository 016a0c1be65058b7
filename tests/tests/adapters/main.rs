//! Low-rank adapters against Python's peft: values, gradients, folders both ways, and training.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod alone;
mod folders;
mod parity;
mod refusals;
mod support;
mod sweep;
mod training;
