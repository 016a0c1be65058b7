//! Weights of losses, and how they change over a run.
//!
//! With x = steps done / steps of the run, in [0, 1), the schedules are `linear_decay`, 1 - x, and
//! `linear_growth`, x, or a function of your own. [`Semantics`] decides how their value is applied:
//!
//! - exact: the declared weight is multiplied by it, from the first step on
//! - TextBrewer: the declared weight applies to the first optimizer step; after it the value replaces the
//!   weight
//!
//! ```
//! use brew_core::semantics::Semantics;
//! use brew_core::schedule::{Weight, WeightSchedule};
//!
//! let weight = Weight::decaying(8.0);
//! let at = |semantics| [0, 1, 2, 3].map(|step| weight.at(semantics, step, 4));
//! assert_eq!(at(Semantics::Exact), [8.0, 6.0, 4.0, 2.0]);
//! assert_eq!(at(Semantics::TextBrewer), [8.0, 0.75, 0.5, 0.25]);
//!
//! let cosine = WeightSchedule::new("cosine", |x| (x * std::f64::consts::PI).cos() / 2.0 + 0.5);
//! assert_eq!(Weight::scheduled(2.0, cosine).at(Semantics::Exact, 0, 5), 2.0);
//! ```

use std::fmt;
use std::sync::Arc;

use crate::semantics::Semantics;

/// The weight of a loss in the sum: a number, or a number with a schedule.
///
/// A plain number works wherever a weight is expected: `.hard_labels(1.0)`.
#[derive(Debug, Clone)]
pub struct Weight {
    value: f64,
    schedule: Option<WeightSchedule>,
}

impl From<f64> for Weight {
    fn from(value: f64) -> Self {
        Weight { value, schedule: None }
    }
}

impl Weight {
    /// Decays linearly from this weight to 0.
    pub fn decaying(value: f64) -> Self {
        Weight::scheduled(value, WeightSchedule::linear_decay())
    }

    /// Grows linearly from 0 to this weight.
    pub fn growing(value: f64) -> Self {
        Weight::scheduled(value, WeightSchedule::linear_growth())
    }

    /// This weight with a schedule.
    pub fn scheduled(value: f64, schedule: WeightSchedule) -> Self {
        Weight { value, schedule: Some(schedule) }
    }

    /// The declared number.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Its schedule; `None` if it is constant.
    pub fn schedule(&self) -> Option<&WeightSchedule> {
        self.schedule.as_ref()
    }

    /// The weight at an optimizer step (from 0) of a run of `steps`; if the length is unknown (0), the weight
    /// at the start.
    pub fn at(&self, semantics: Semantics, step: u64, steps: u64) -> f64 {
        let Some(schedule) = &self.schedule else { return self.value };
        let done = if steps == 0 { 0.0 } else { step as f64 / steps as f64 };
        let value = schedule.value(done);
        match semantics {
            Semantics::Exact => self.value * value,
            Semantics::TextBrewer if step == 0 => self.value,
            Semantics::TextBrewer => value,
        }
    }

    /// The product of two weights of one loss: of their numbers, and of their schedules if both have one.
    pub(crate) fn times(self, other: &Weight) -> Self {
        let schedule = match (self.schedule, &other.schedule) {
            (Some(first), Some(second)) => {
                let (name, second) = (format!("{} x {}", first.name, second.name), second.clone());
                Some(WeightSchedule::new(name, move |done| first.value(done) * second.value(done)))
            }
            (first, second) => first.or_else(|| second.clone()),
        };
        Weight { value: self.value * other.value, schedule }
    }
}

/// A function of the completed share of a run, with its name in plans and configs.
#[derive(Clone)]
pub struct WeightSchedule {
    name: String,
    value: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
}

impl fmt::Debug for WeightSchedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl WeightSchedule {
    /// A custom schedule: a function of x = steps done / steps of the run, in [0, 1).
    pub fn new(name: impl Into<String>, value: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Self {
        WeightSchedule { name: name.into(), value: Arc::new(value) }
    }

    /// 1 - x (TextBrewer's `linear_decay`).
    pub fn linear_decay() -> Self {
        WeightSchedule::new("linear_decay", |done| 1.0 - done)
    }

    /// x (TextBrewer's `linear_growth`).
    pub fn linear_growth() -> Self {
        WeightSchedule::new("linear_growth", |done| done)
    }

    /// The name in plans and configs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value when this share of the steps is done.
    pub fn value(&self, done: f64) -> f64 {
        (self.value)(done)
    }
}
