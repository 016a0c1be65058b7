//! Heads: the part of a model on top of the encoder, which differs from task to task.

use std::fmt;

use tch::{Device, Kind, Tensor};

use super::architecture::Architecture;
use super::config::BertConfig;
use super::stored_head::other_head;
use crate::error::{Error, InStage, Result};
use crate::model::normal::normal;
use crate::model::problem::ProblemType;
use crate::model::weights::Weights;
use crate::parameters::Parameters;

/// The head of a task. Only brew's own types implement it, since they build it from `Weights`.
pub trait Head: Send + fmt::Debug + Sized + 'static {
    /// The task in transformers' class names: the part after `BertFor`.
    const TASK: &'static str;

    /// The fixed problem type of its labels; `None` if its config or its labels decide.
    const PROBLEM: Option<ProblemType> = None;

    /// Whether its labels are the classes that the config names.
    const NAMES_CLASSES: bool = true;

    /// A linear layer that every stored head of this task has: the one that produces the scores, if it has a
    /// matrix of its own.
    fn output_name(config: &BertConfig) -> &'static str;

    /// The model's class in transformers.
    fn class(architecture: Architecture) -> String {
        format!("{}For{}", architecture.class(), Self::TASK)
    }

    /// Why the weights of a folder do not have this head; `None` if they may.
    fn refusal(config: &BertConfig, weights: &Weights) -> Option<String> {
        other_head::<Self>(config, weights)
    }

    /// Whether the head also uses the matrix of the token embeddings.
    fn is_tied(_config: &BertConfig) -> bool {
        false
    }

    /// Gives parameters that are stored under several names the one by which they are taken.
    ///
    /// # Errors
    /// Parameters that should be one and differ.
    fn settle(_weights: &mut Weights, _config: &BertConfig) -> Result<(), String> {
        Ok(())
    }

    /// Builds the head from its parameters.
    fn take(weights: &mut Weights, config: &BertConfig) -> Self;

    /// Adds a new head to the weights: N(0, `initializer_range`²) from this seed, biases 0.
    ///
    /// # Errors
    /// An invalid `initializer_range`.
    fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()>;

    /// Its parameters by name.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// The parameters of the whole model under the names that its folder has for them.
    fn stored(parameters: Parameters, _config: &BertConfig) -> Parameters {
        parameters
    }
}

/// A head with one score per class, with as many classes as names.
pub trait ClassHead: Head {}

/// Adds a new linear layer of size `(inputs, outputs)` to the weights: N(0, `deviation`²), biases 0.
pub(crate) fn renew_linear(
    weights: &mut Weights,
    name: &str,
    (inputs, outputs): (i64, i64),
    deviation: f64,
    seed: u64,
) -> Result<()> {
    if !(deviation.is_finite() && deviation >= 0.0) {
        return Err(Error::invalid(format!(
            "initializer_range is {deviation}; it is the standard deviation of a new head's weights and must be at least 0"
        )));
    }
    let count = usize::try_from(outputs * inputs).unwrap_or(0);
    let drawn = Tensor::f_from_slice(&normal(seed, count, deviation))?.f_reshape([outputs, inputs])?;
    weights.set(format!("{name}.weight"), drawn);
    let zeros = Tensor::f_zeros([outputs], (Kind::Float, Device::Cpu)).in_stage(name)?;
    weights.set(format!("{name}.bias"), zeros);
    Ok(())
}

/// Checks the number of classes of a head.
pub(crate) fn checked_classes(classes: usize) -> Result<i64> {
    match i64::try_from(classes) {
        Ok(classes) if classes > 0 => Ok(classes),
        _ => Err(Error::invalid(format!("a classifier cannot have {classes} classes: it needs at least 1"))),
    }
}
