//! Learning rate schedules: the learning rate's factor at each optimizer step.

use std::fmt;

/// The factor of the learning rate at each optimizer step.
pub trait Schedule: fmt::Debug {
    /// The factor at `step` (from 0) of `steps`.
    fn multiplier(&self, step: u64, steps: u64) -> f64;

    /// The problems of the settings, each with its fix.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}
