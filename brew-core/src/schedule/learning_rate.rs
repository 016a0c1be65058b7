//! Learning rates: the factor of each optimizer step.

use std::fmt;

/// The factor of the learning rate at each optimizer step.
pub trait Schedule: fmt::Debug {
    /// The factor at `step` (from 0) of `steps`.
    fn multiplier(&self, step: u64, steps: u64) -> f64;

    /// What is wrong with the settings, each with its mend.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The same learning rate at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constant;

impl Schedule for Constant {
    fn multiplier(&self, _: u64, _: u64) -> f64 {
        1.0
    }
}

/// Up over a fraction of the run, then down to zero.
///
/// ```
/// use brew_core::schedule::{Schedule, Warmup};
///
/// let schedule = Warmup::linear(0.1);
/// // min((s + 1) / (0.1 n + 1), (n - s) / (0.9 n)) at the steps s = 0, 1 and 9 of n = 10
/// assert_eq!(schedule.multiplier(0, 10), 0.5);
/// assert_eq!(schedule.multiplier(1, 10), 1.0);
/// assert!((schedule.multiplier(9, 10) - 1.0 / 9.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warmup {
    fraction: f64,
}

impl Warmup {
    /// Linear up over this fraction of the steps, in [0, 1), and linear down over the rest: at step s
    /// of n, min((s + 1) / (fraction n + 1), (n - s) / ((1 - fraction) n)).
    pub fn linear(fraction: f64) -> Self {
        Warmup { fraction: fraction.clamp(0.0, 1.0) }
    }
}

impl Schedule for Warmup {
    fn multiplier(&self, step: u64, steps: u64) -> f64 {
        let (step, steps) = (step as f64, steps.max(1) as f64);
        let up = (step + 1.0) / (self.fraction * steps + 1.0);
        let down = (steps - step) / ((1.0 - self.fraction) * steps).max(f64::MIN_POSITIVE);
        up.min(down).clamp(0.0, 1.0)
    }
}
