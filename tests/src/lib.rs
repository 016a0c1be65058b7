//! What several tests share: closed-form tensors, golden values, a gradient by finite differences,
//! and small models.

mod golden;
mod gradient;
mod toy;

pub use golden::{golden, mask, seq};
pub use gradient::finite_difference_error;
pub use toy::{Probe, Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};
