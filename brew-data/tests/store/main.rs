//! The teacher cache on disk: who may read it, what a killed writer loses, and which bytes are trusted.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

mod corrupt;
mod killed;
mod refusals;
mod rows;
mod support;
