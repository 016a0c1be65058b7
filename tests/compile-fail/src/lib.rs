//! Programs that the compiler must accept, without a warning: every role, lists and single tensors,
//! columns that may be absent, tuple batches, items, and roles of a user's own.
//!
//! Compiling this library is the test. [`page`] holds the types that the refused programs in
//! `cases/` share.

#![cfg(trybuild)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod batches;
pub mod items;
pub mod own_roles;
pub mod page;
pub mod roles;
