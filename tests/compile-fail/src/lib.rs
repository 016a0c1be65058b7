//! Programs that the compiler must accept, without a warning: every role, lists and single tensors,
//! columns that may be absent, tuple batches, items, and roles of a user's own.
//!
//! Compiling this library is the test. The refused programs in `cases/` do not use it, so that a
//! type added here changes no list of implementors in their messages; they share the file `page.rs`.

#![cfg(trybuild)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]

pub mod batches;
pub mod items;
pub mod own_losses;
pub mod own_roles;
pub mod page;
pub mod roles;
