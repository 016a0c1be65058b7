//! Numbers that say how good predictions are, one file a metric.
//!
//! Each is held against scikit-learn, scipy, seqeval or the official script of SQuAD. A metric is
//! always a number: where its formula has none (no example counts, an input is constant) its file
//! says what it is instead, and that is the worst that may be said of a model that has learned nothing.

mod accuracy;
mod classes;
mod correlation;
mod entity_f1;
mod f1;
mod matthews;
mod squad;

use std::fmt;

use super::predictions::Predictions;
use crate::error::Result;

pub use accuracy::Accuracy;
pub use correlation::{Pearson, Spearman};
pub use entity_f1::{Entity, EntityF1, entities, entity_f1};
pub use f1::F1;
pub use matthews::Matthews;
pub use squad::{SquadAnswers, SquadExactMatch, SquadF1, exact_match, token_f1};

/// A number that says how good predictions are; more is better.
///
/// ```
/// use brew_core::prelude::*;
///
/// /// The share of examples of which the model is at least 90 percent sure.
/// #[derive(Debug)]
/// struct Sure;
/// impl Metric for Sure {
///     fn name(&self) -> &'static str {
///         "sure"
///     }
///     fn value(&self, predictions: &Predictions) -> Result<f64> {
///         let sure = predictions.logits()[0].f_softmax(-1, Kind::Double)?.f_amax([-1i64], false)?.f_ge(0.9)?;
///         Ok(sure.f_mean(Kind::Double)?.f_double_value(&[])?)
///     }
/// }
/// ```
pub trait Metric: fmt::Debug {
    /// The name in events and metrics.
    fn name(&self) -> &'static str;
    /// The value for these predictions.
    fn value(&self, predictions: &Predictions) -> Result<f64>;
}
