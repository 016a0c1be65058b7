//! What stands on the encoder: the part of a model that differs from task to task.

use std::fmt;

use tch::{Device, Kind, Tensor};

use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::normal::normal;
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;

/// The head of a task. Only brew's own types implement it: they build it of `Weights`.
pub trait Head: Send + fmt::Debug + Sized + 'static {
    /// The task as transformers' classes call it: what follows `BertFor`.
    const TASK: &'static str;

    /// What its labels always are; `None` where its config or its labels say.
    const PROBLEM: Option<ProblemType> = None;

    /// The linear layer that gives the scores.
    fn output_name(config: &BertConfig) -> &'static str;

    /// Builds the head of its parameters.
    fn take(weights: &mut Weights, config: &BertConfig) -> Self;

    /// Puts a new head among the weights: N(0, `initializer_range`²) from this seed, biases 0.
    ///
    /// # Errors
    /// An `initializer_range` that is no standard deviation.
    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()>;

    /// Its parameters by name.
    fn parameters(&self) -> Vec<(String, Tensor)>;
}

/// A head with one score a class, for as many classes as there are names.
pub trait ClassHead: Head {}

/// Puts a new linear layer of so many `(inputs, outputs)` among the weights: N(0, `deviation`²), biases 0.
pub(crate) fn renew_linear(
    weights: &mut Weights,
    name: &str,
    (inputs, outputs): (i64, i64),
    deviation: f64,
    seed: u64,
) -> Result<()> {
    if !(deviation.is_finite() && deviation >= 0.0) {
        return Err(Error::invalid(format!(
            "initializer_range is {deviation}, and the weights of a new head are drawn with this standard deviation: it must be at least 0"
        )));
    }
    let count = usize::try_from(outputs * inputs).unwrap_or(0);
    let drawn = Tensor::f_from_slice(&normal(seed, count, deviation))?.f_reshape([outputs, inputs])?;
    weights.set(format!("{name}.weight"), drawn);
    let zeros = Tensor::f_zeros([outputs], (Kind::Float, Device::Cpu)).in_stage(name)?;
    weights.set(format!("{name}.bias"), zeros);
    Ok(())
}

/// A number of classes that a head can have.
pub(crate) fn checked_classes(classes: usize) -> Result<i64> {
    match i64::try_from(classes) {
        Ok(classes) if classes > 0 => Ok(classes),
        _ => Err(Error::invalid(format!("a classifier cannot have {classes} classes: it needs at least 1"))),
    }
}
