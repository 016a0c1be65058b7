//! Metrics: numbers that say how good predictions are, one file per metric.
//!
//! Each is tested against scikit-learn, scipy, seqeval or SQuAD's official script. If a formula is undefined
//! for a model's predictions (for example if an input is constant), the metric's file documents the value
//! used instead: that of a model that has learned nothing. Data that has no value for any predictions (labels
//! out of range, no label that counts) is an error.

mod accuracy;
mod classes;
mod correlation;
mod entity_f1;
mod exact_match;
mod f1;
mod labelled_rows;
mod matthews;
mod next_token;
mod perplexity;
mod r2;
mod squad;
mod tags;
mod tags_f1;

use std::fmt;

use tch::Tensor;

use super::predictions::Predictions;
use crate::error::Result;
use crate::role::{Logits, Role};

pub use accuracy::Accuracy;
pub(crate) use classes::labels_within_classes;
pub use correlation::{Pearson, Spearman};
pub use entity_f1::EntityF1;
pub use exact_match::ExactMatch;
pub use f1::F1;
pub use matthews::Matthews;
pub use perplexity::Perplexity;
pub use r2::R2;
pub use squad::{SquadAnswers, SquadExactMatch, SquadF1, exact_match, token_f1};
pub use tags::{Entity, Scheme, entities};
pub use tags_f1::entity_f1;

/// A number that says how good predictions are; more is better, unless [`less_is_better`](Self::less_is_better).
///
/// It reads the role `R` of the model's output, by default the logits, and the labels.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::observe::Predictions;
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
///
/// /// Whether texts of one class are near each other: the share whose nearest other text, by the cosine of
/// /// the mean of the last hidden states, is of their class.
/// #[derive(Debug)]
/// struct Nearest;
/// impl Metric<role::Hidden> for Nearest {
///     fn name(&self) -> &'static str {
///         "nearest"
///     }
///     // All hidden states of all texts would not fit in memory: one vector a text is kept.
///     fn of_batch(&self, layers: Vec<Tensor>, mask: Option<&Tensor>) -> Result<Vec<Tensor>> {
///         let (Some(last), Some(mask)) = (layers.last(), mask) else {
///             return Err(Error::invalid("nearest needs hidden states and their mask"));
///         };
///         let mask = mask.f_unsqueeze(-1)?.f_to_kind(Kind::Float)?;
///         let sum = last.f_mul(&mask)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
///         Ok(vec![sum.f_div(&mask.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?)?])
///     }
///     fn value(&self, predictions: &Predictions<role::Hidden>) -> Result<f64> {
///         let [vectors] = predictions.values() else { return Err(Error::invalid("one vector a text")) };
///         let [labels] = predictions.labels() else { return Err(Error::invalid("nearest needs labels")) };
///         let unit = vectors.f_div(&vectors.f_norm_scalaropt_dim(2.0, [-1i64], true)?)?;
///         let near = unit.f_matmul(&unit.f_transpose(0, 1)?)?.f_fill_diagonal_(-1.0, false)?;
///         let nearest = labels.f_index_select(0, &near.f_argmax(-1, false)?)?;
///         Ok(nearest.f_eq_tensor(labels)?.f_mean(Kind::Double)?.f_double_value(&[])?)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    label = "not a metric",
    note = "write `impl Metric for {Self}`, or `impl Metric<role::Embedding> for {Self}` for one that reads another role than the logits"
)]
pub trait Metric<R: Role = Logits>: fmt::Debug {
    /// The name in events and metrics.
    fn name(&self) -> &'static str;

    /// The options that its value depends on beside the predictions, such as the tags of the classes: a run
    /// with different options cannot resume. By default none.
    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Whether a smaller value is better: `best/` and `stop_after` then look for the smallest.
    fn less_is_better(&self) -> bool {
        false
    }

    /// Whether it looks up examples by their position in the data: shuffled or bucketed batches are then
    /// refused.
    fn reads_order(&self) -> bool {
        false
    }

    /// The value for the predictions of a whole data set.
    fn value(&self, predictions: &Predictions<R>) -> Result<f64>;

    /// Checks that it fits the model and the labels: called with the first two rows before the first step.
    ///
    /// The default computes their value. Override it if two rows are too few for a value.
    ///
    /// # Errors
    /// The problem, and its fix.
    fn check(&self, rows: &Predictions<R>) -> Result<()> {
        self.value(rows).map(drop)
    }

    /// What to keep of a batch until the value is computed; by default the whole role.
    ///
    /// Receives the tensors of the role on the model's device, rows first, and the role's mask (see
    /// [`mask_of`](crate::role::mask_of)) if it has one; returns tensors with as many rows. They stay in
    /// memory for the whole data set, so reduce large tensors here.
    ///
    /// # Errors
    /// Those of the reduction.
    fn of_batch(&self, values: Vec<Tensor>, mask: Option<&Tensor>) -> Result<Vec<Tensor>> {
        let _ = mask;
        Ok(values)
    }

    /// What to keep of a batch, if labels decide it: a tensor with any number of rows, `(rows, numbers)`, which
    /// [`value`](Self::value) then finds in [`Predictions::reduced`]. By default `None`:
    /// [`of_batch`](Self::of_batch) decides.
    ///
    /// Receives the batch's values, labels and mask, on the model's device.
    ///
    /// # Errors
    /// Those of the reduction.
    fn of_labelled_batch(&self, batch: &Predictions<R>) -> Result<Option<Tensor>> {
        let _ = batch;
        Ok(None)
    }
}
