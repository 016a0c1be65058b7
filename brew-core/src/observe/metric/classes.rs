//! What metrics over classes count: which class was predicted, and which is true.

use tch::{Kind, Tensor};

use super::super::predictions::{IGNORED, Predictions};
use crate::error::{Error, InStage, Result};

/// The classes of a data set, predicted and true.
#[derive(Debug)]
pub(super) enum Classes {
    /// One class an example or token: `(predicted, true)` of each that counts.
    One(Vec<(i64, i64)>),
    /// Any number of classes an example: for each example `(predicted, true)` of every class.
    Any(Vec<Vec<(bool, bool)>>),
}

impl Classes {
    /// Reads predictions of one head.
    ///
    /// Integer labels mean one class: the largest logit is predicted, and of equal ones the first.
    /// Float labels in the shape of the logits mean any number of classes: those with a logit above 0
    /// (a probability above one half) are predicted, and those with a label above 0.5 are true.
    ///
    /// # Errors
    /// Without labels, for several heads, and for labels of another shape.
    pub(super) fn of(metric: &str, predictions: &Predictions) -> Result<Self> {
        let (logits, labels) = one_head(metric, predictions)?;
        let kind = labels.f_kind()?;
        if matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
            return Self::any(metric, logits, labels);
        }
        let predicted = logits.f_argmax(-1, false)?;
        if predicted.size() != labels.size() {
            return Err(Error::invalid(format!(
                "{metric} needs one label a prediction: the predictions are {:?}, the labels {:?}",
                predicted.size(),
                labels.size()
            )));
        }
        let mut counts = labels.f_ne(IGNORED)?;
        if let Some(mask) = predictions.mask() {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        let predicted = integers(&predicted.f_masked_select(&counts)?)?;
        let labels = integers(&labels.f_masked_select(&counts)?)?;
        Ok(Classes::One(predicted.into_iter().zip(labels).collect()))
    }

    fn any(metric: &str, logits: &Tensor, labels: &Tensor) -> Result<Self> {
        let classes = logits.size().last().copied().unwrap_or(0).max(1);
        if logits.size() != labels.size() || classes == 1 {
            return Err(Error::invalid(format!(
                "{metric} is of classes, and these labels are numbers: they are {:?}, the logits {:?}",
                labels.size(),
                logits.size()
            )));
        }
        let flags = |tensor: &Tensor, limit: f64| integers(&tensor.f_gt(limit)?.f_reshape([-1])?);
        let both = flags(logits, 0.0)?.into_iter().zip(flags(labels, 0.5)?);
        let both: Vec<(bool, bool)> = both.map(|(predicted, label)| (predicted != 0, label != 0)).collect();
        let classes = usize::try_from(classes).unwrap_or(1);
        Ok(Classes::Any(both.chunks(classes).map(<[_]>::to_vec).collect()))
    }
}

/// The logits and labels of a model with one head.
pub(super) fn one_head<'p>(metric: &str, predictions: &'p Predictions) -> Result<(&'p Tensor, &'p Tensor)> {
    let [logits] = predictions.logits() else {
        return Err(Error::invalid(format!(
            "{metric} is of one head, and this model has {}: write a `Metric` of your own over `logits()`",
            predictions.logits().len()
        )));
    };
    let [labels] = predictions.labels() else {
        return Err(Error::invalid(format!(
            "{metric} needs labels: give the adaptor the role `labels`, or the batch a column `labels`"
        )));
    };
    Ok((logits, labels))
}

/// All values of a tensor.
pub(super) fn integers(tensor: &Tensor) -> Result<Vec<i64>> {
    Ok(Vec::try_from(&tensor.f_to_kind(Kind::Int64)?.f_reshape([-1])?)?)
}

#[cfg(test)]
pub(super) mod cases {
    //! Predictions for the tests of the metrics.

    use super::{Predictions, Tensor};

    /// Predicts these classes out of `classes` where those labels are true.
    pub(in super::super) fn single(classes: i64, predicted: &[i64], labels: &[i64]) -> Predictions {
        let logits = Tensor::from_slice(predicted).one_hot(classes).to_kind(tch::Kind::Float);
        Predictions::new(vec![logits], vec![Tensor::from_slice(labels)], None).unwrap()
    }

    /// The example that the golden values of scikit-learn are of.
    pub(in super::super) fn four_classes() -> Predictions {
        single(4, &[0, 2, 2, 2, 1, 1, 0, 1, 0, 0, 1, 1], &[0, 1, 2, 2, 1, 0, 3, 1, 2, 0, 1, 2])
    }

    /// Three classes, any number of which is true of an example.
    pub(in super::super) fn multi_label() -> Predictions {
        let logits = [[2.0_f32, -1.0, -0.5], [-1.0, 0.1, 3.0], [1.0, -4.0, 0.0], [-1.0, -1.0, -1.0]];
        let labels = [[1.0_f32, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
        Predictions::new(vec![Tensor::from_slice2(&logits)], vec![Tensor::from_slice2(&labels)], None)
            .unwrap()
    }
}
