//! Parses the files of a teacher store: a block's rows, and the keys beside it.

pub(crate) mod block;
pub(crate) mod keys;
