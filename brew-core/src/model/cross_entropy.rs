//! Cross entropy for heads with one class per row, with class weights and label smoothing as in
//! `torch.nn.CrossEntropyLoss(weight, label_smoothing, ignore_index=-100)`.
//!
//! With the weight w_c of class c (1 unless given), the smoothing e, C classes, p = softmax(logits) and the
//! label y of each row:
//!
//! - l = -(1 - e) w_y log p_y - e / C sum_c w_c log p_c
//! - the loss is sum l / sum w_y, over the rows whose label counts
//!
//! The weight w_y of a row is also used across accumulated batches, so that they give the same result as one
//! batch.

use std::collections::BTreeMap;

use tch::{Device, Kind, Reduction, Tensor};

use crate::error::{Error, InStage, Result};
use crate::loss::wide;
use crate::role::{IGNORED, counts};

/// Class weights and label smoothing; by default neither.
#[derive(Debug, Default)]
pub(crate) struct CrossEntropy {
    /// `(classes,)`, float32.
    weights: Option<Tensor>,
    smoothing: f64,
}

impl CrossEntropy {
    /// The same settings.
    pub(crate) fn shallow_clone(&self) -> Self {
        CrossEntropy { weights: self.weights.as_ref().map(Tensor::shallow_clone), ..*self }
    }

    /// The same with a weight for each class.
    pub(crate) fn with_weights(
        self,
        weights: impl IntoIterator<Item = f64>,
        classes: i64,
        device: Device,
    ) -> Result<Self> {
        let weights: Vec<f64> = weights.into_iter().collect();
        if i64::try_from(weights.len()) != Ok(classes) {
            return Err(Error::invalid(format!(
                "there are {} class weights, but the head has {classes} classes",
                weights.len()
            )));
        }
        let usable = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        if !usable || weights.iter().sum::<f64>() <= 0.0 {
            return Err(Error::invalid(format!(
                "the class weights are {weights:?}; they must be finite and not negative, and at least one above 0"
            )));
        }
        let weights = Tensor::f_from_slice(&weights)?.f_to_kind(Kind::Float)?.f_to_device(device)?;
        Ok(CrossEntropy { weights: Some(weights), ..self })
    }

    /// The same with this label smoothing.
    pub(crate) fn with_smoothing(self, smoothing: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::invalid(format!("the label smoothing is {smoothing}; it must lie in [0, 1]")));
        }
        Ok(CrossEntropy { smoothing, ..self })
    }

    /// What the loss depends on, for a model's identity: empty with neither weights nor smoothing.
    ///
    /// # Errors
    /// Those of libtorch.
    pub(crate) fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = BTreeMap::new();
        if let Some(weights) = &self.weights {
            let weights = Vec::<f32>::try_from(weights.f_to_device(Device::Cpu)?)?;
            identity.insert("class_weights".to_owned(), format!("{weights:?}"));
        }
        if self.smoothing > 0.0 {
            identity.insert("label_smoothing".to_owned(), format!("{:?}", self.smoothing));
        }
        Ok(identity)
    }

    /// Refuses weights and smoothing if labels are not classes.
    pub(crate) fn refuse_beside(&self, problem: super::ProblemType) -> Result<()> {
        if self.weights.is_none() && self.smoothing == 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "class weights and label smoothing need one class per row, but the labels are those of {problem}: remove them"
        )))
    }

    /// The mean over the rows whose label is not `ignored`, a scalar; 0 if none counts. `logits` is `(rows,
    /// classes)` float32, `labels` `(rows,)` int64.
    pub(crate) fn mean(&self, logits: &Tensor, labels: &Tensor, ignored: i64) -> Result<Tensor> {
        let sum = logits.f_cross_entropy_loss(
            labels,
            self.weights.as_ref(),
            Reduction::Sum,
            ignored,
            self.smoothing,
        )?;
        let count = self.count_but(labels, ignored)?.f_sum(Kind::Float)?;
        Ok(sum.f_div(&count.f_masked_fill(&count.f_eq(0.0)?, 1.0)?)?)
    }

    /// The weight of each label in [`mean`](Self::mean), in the labels' shape, float32: the weight of its
    /// class, 0 for -100.
    pub(crate) fn count(&self, labels: &Tensor) -> Result<Tensor> {
        self.count_but(labels, IGNORED)
    }

    fn count_but(&self, labels: &Tensor, ignored: i64) -> Result<Tensor> {
        // As an unsigned 8-bit number -100 would be a different number.
        let labels = &labels.f_to_kind(Kind::Int64)?;
        let counted = labels.f_ne(ignored)?;
        let Some(weights) = &self.weights else { return Ok(counted.f_to_kind(Kind::Float)?) };
        let classes = labels.f_masked_fill(&counted.f_logical_not()?, 0)?;
        Ok(weights.f_take(&classes).in_stage("class weights")?.f_mul(&counted)?)
    }
}

/// The mean cross entropy over the tokens whose label is not -100, a scalar; 0 if none counts. Computed in float32 or
/// wider.
///
/// `states` is `(batch, length, …)`, `labels` `(batch, length)`; `logits_of` turns the states of the tokens that count,
/// `(tokens, …)`, into logits.
pub(crate) fn mean_over_tokens(
    states: &Tensor,
    labels: &Tensor,
    logits_of: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let labels = labels.f_reshape([-1]).in_stage("labels")?;
    let places = counts(&labels)?.f_nonzero()?.f_reshape([-1]).in_stage("labels")?;
    let labels = labels.f_index_select(0, &places)?.f_to_kind(Kind::Int64).in_stage("labels")?;
    let states = states.f_flatten(0, 1)?.f_index_select(0, &places).in_stage("loss")?;
    let logits = wide(&logits_of(&states)?)?;
    CrossEntropy::default().mean(&logits, &labels, IGNORED).map_err(|error| {
        let tokens = logits.size().last().copied().unwrap_or(0);
        let outside = labels.f_lt(0).and_then(|below| below.f_logical_or(&labels.f_ge(tokens)?)?.f_any());
        match outside.and_then(|any| any.f_int64_value(&[])) {
            Ok(1) => {
                Error::invalid(format!("`labels` must be tokens, int64, from 0 to {}: {error}", tokens - 1))
            }
            _ => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{CrossEntropy, Device, Tensor};

    // By hand; -100 as an unsigned 8-bit number is 156, which is a class here.
    #[test]
    fn no_class_of_eight_bits_is_taken_for_a_missing_label() {
        let labels = Tensor::from_slice(&[156_u8, 3]);
        let plain = CrossEntropy::default().count(&labels).unwrap();
        assert_eq!(plain, Tensor::from_slice(&[1.0_f32, 1.0]));
        let weights = (0..200).map(f64::from);
        let weighted = CrossEntropy::default().with_weights(weights, 200, Device::Cpu).unwrap();
        assert_eq!(weighted.count(&labels).unwrap(), Tensor::from_slice(&[156.0_f32, 3.0]));
        let missing = Tensor::from_slice(&[-100_i8, 3]);
        assert_eq!(weighted.count(&missing).unwrap(), Tensor::from_slice(&[0.0_f32, 3.0]));
        let counted = super::super::labelled(&[labels]).unwrap().unwrap();
        assert_eq!(counted, [plain]);
    }
}
