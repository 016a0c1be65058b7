//! What several tests share: closed-form tensors, golden values, a gradient by finite differences,
//! and small models.

mod golden;
mod gradient;

pub use golden::{golden, mask, seq};
pub use gradient::finite_difference_error;
