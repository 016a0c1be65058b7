//! Students that learn from texts they write themselves: which rows they get, what the losses over them are, and runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod killed;
mod log_probs;
mod objectives;
mod refusals;
mod rows;
mod runs;
mod support;
