//! The teacher cache: the losses of every step with and without it, and what it rejects.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

mod identity;
mod losses;
mod refusals;
mod rows;
mod served;
mod store;
mod support;
