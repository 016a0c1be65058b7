//! Values of Arrow arrays, whatever types hold them: numbers, two bytes that are one, lists, text.

pub(crate) mod half;
pub(crate) mod lists;
pub(crate) mod numbers;
pub(crate) mod text;
