//! A model over a whole data set: its predictions, and metrics of them.

use std::fmt;

use tch::{Device, Kind, Tensor};

use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batch, Batches};
use crate::error::{Error, InStage, Result};
use crate::feature::Feature;
use crate::model::{Model, Seen};
use crate::pass::{Pass, Wants};
use crate::role::{Labels, Logits, Role};

/// What a model predicts for each example of a data set, in the data's order.
#[derive(Debug)]
pub struct Predictions {
    /// `(examples, classes)`, float32, on the CPU.
    pub logits: Tensor,
    /// `(examples,)`, int64, on the CPU; `None` where the batches have no labels.
    pub labels: Option<Tensor>,
}

impl Predictions {
    /// Runs a model over the first epoch of some batches, without dropout and without gradients.
    ///
    /// Labels are those of the adaptor's role, or else the batch's column `labels`.
    pub fn of<A, D>(model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<Logits>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        let _guard = tch::no_grad_guard();
        let device = model.parameters().device();
        let pass = Pass::evaluation(Wants::nothing().and_role(Logits::NAME));
        let (mut logits, mut labels) = (Vec::new(), Vec::new());
        for batch in data.epoch(0)? {
            let batch = batch?.to_device(device)?;
            let output = model.run(&batch, &pass).in_stage("evaluation")?;
            let of_batch = only(model.read(Logits::NAME, &batch, &output)?).ok_or_else(|| {
                Error::invalid("the model gave no `logits`, or a list of them, to evaluate")
            })?;
            logits.push(of_batch.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?);
            let truth = only(model.read(Labels::NAME, &batch, &output)?)
                .or_else(|| batch.column("labels").map(Tensor::shallow_clone));
            labels.extend(truth.map(|truth| truth.f_to_device(Device::Cpu)).transpose()?);
        }
        if logits.is_empty() {
            return Err(Error::invalid("there is nothing to evaluate: the data has no rows"));
        }
        let labels = (labels.len() == logits.len()).then(|| Tensor::f_cat(&labels, 0)).transpose()?;
        Ok(Predictions { logits: Tensor::f_cat(&logits, 0)?, labels })
    }

    /// The share of examples, 0 to 1, for which both predict the same class.
    pub fn agreement(&self, other: &Predictions) -> Result<f64> {
        share_of_equals(&self.logits.f_argmax(-1, false)?, &other.logits.f_argmax(-1, false)?)
    }
}

/// A number that says how good predictions are; more is better.
pub trait Metric: fmt::Debug {
    /// The name in events and metrics.
    fn name(&self) -> &'static str;
    /// The value for these predictions.
    fn value(&self, predictions: &Predictions) -> Result<f64>;
}

/// The share of examples whose label has the largest logit, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let labels = predictions.labels.as_ref().ok_or_else(|| {
            Error::invalid(
                "accuracy needs labels: give the adaptor the role `labels`, or the batch a column `labels`",
            )
        })?;
        share_of_equals(&predictions.logits.f_argmax(-1, false)?, labels)
    }
}

fn share_of_equals(left: &Tensor, right: &Tensor) -> Result<f64> {
    if left.size() != right.size() {
        return Err(Error::invalid(format!(
            "{:?} predictions cannot be compared with {:?}: they are of different data",
            left.size(),
            right.size()
        )));
    }
    Ok(left.f_eq_tensor(right)?.f_mean(Kind::Double)?.f_double_value(&[])?)
}

fn only(feature: Option<Feature>) -> Option<Tensor> {
    match feature {
        Some(Feature::One(tensor)) => Some(tensor),
        _ => None,
    }
}
