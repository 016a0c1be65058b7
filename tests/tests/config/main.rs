//! TextBrewer's configs: read, written, rejected, and made into pipelines.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

mod own_parts;
mod pipelines;
mod presets;
mod reading;

use brew_core::prelude::*;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::{Toy, ToyOutputAdaptor};

/// A teacher of 4 layers, 8 wide, and a student of 2 layers, 6 wide.
pub(crate) fn distiller(
    distill: &DistillationConfig,
) -> GeneralDistiller<ToyOutputAdaptor, ToyOutputAdaptor> {
    let (teacher, student) = (Toy::new(4, 8, 0), Toy::new(2, 6, 1));
    let (teacher, student) = (teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
    GeneralDistiller::new(&TrainingConfig::default(), distill, teacher, student)
}
