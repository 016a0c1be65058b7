//! Reads values from Arrow arrays of any width: numbers, two-byte floats, lists, and text.

pub(crate) mod half;
pub(crate) mod lists;
pub(crate) mod numbers;
pub(crate) mod text;
