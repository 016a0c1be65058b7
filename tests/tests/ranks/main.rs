//! Several real processes on this machine: what they compute together, and what each is told if one of them fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bert;
mod distilling;
mod exact;
mod explained;
mod failures;
mod stopping;
mod sums;
mod torchrun;
mod training;

const PROGRAM: &str = env!("CARGO_BIN_EXE_one_of_several");
