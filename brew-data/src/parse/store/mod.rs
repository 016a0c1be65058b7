//! The files of a teacher store: a block's rows, and its keys in the file beside it.

pub(crate) mod block;
pub(crate) mod keys;
