//! Correlation of predicted numbers with true ones.
//!
//! - Pearson: `Σ (x - x̄)(y - ȳ) / sqrt(Σ (x - x̄)² Σ (y - ȳ)²)`;
//! - Spearman: Pearson's of the ranks, where equal numbers share the mean of their ranks.
//!
//! scipy's `pearsonr` and `spearmanr`; GLUE's metrics for STS-B.

use tch::{Kind, Tensor};

use super::Metric;
use super::classes::one_head;
use crate::error::{Error, Result};
use crate::observe::Predictions;

/// The linear correlation of a regression's predictions with its labels, -1 to 1.
///
/// Where it has no value (less than two examples, or one side constant; scipy gives NaN or refuses)
/// it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pearson;

/// The correlation of the ranks of a regression's predictions and labels, -1 to 1.
///
/// Where it has no value it is 0, as for [`Pearson`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spearman;

impl Metric for Pearson {
    fn name(&self) -> &'static str {
        "pearson"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (predicted, labels) = numbers("pearson", predictions)?;
        Ok(pearson(&predicted, &labels))
    }
}

impl Metric for Spearman {
    fn name(&self) -> &'static str {
        "spearman"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (predicted, labels) = numbers("spearman", predictions)?;
        Ok(pearson(&ranks(&predicted), &ranks(&labels)))
    }
}

/// Predicted and true numbers, `(examples,)` or `(examples, 1)` each.
fn numbers(metric: &str, predictions: &Predictions) -> Result<(Vec<f64>, Vec<f64>)> {
    let (logits, labels) = one_head(metric, predictions)?;
    let examples = logits.size().first().copied().unwrap_or(0);
    if logits.numel() != labels.numel() || i64::try_from(logits.numel()) != Ok(examples) {
        return Err(Error::invalid(format!(
            "{metric} needs one number an example: the predictions are {:?}, the labels {:?}",
            logits.size(),
            labels.size()
        )));
    }
    let values =
        |tensor: &Tensor| Ok::<_, Error>(Vec::try_from(&tensor.f_to_kind(Kind::Double)?.f_reshape([-1])?)?);
    let (predicted, labels): (Vec<f64>, Vec<f64>) = (values(logits)?, values(labels)?);
    match predicted.iter().chain(&labels).position(|value| !value.is_finite()) {
        Some(place) => Err(Error::invalid(format!(
            "{metric} needs finite numbers, and that of example {} is not",
            place % predicted.len()
        ))),
        None => Ok((predicted, labels)),
    }
}

fn pearson(left: &[f64], right: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
    if constant(left) || constant(right) {
        return 0.0;
    }
    let (mean_left, mean_right) = (mean(left), mean(right));
    let (mut both, mut of_left, mut of_right) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - mean_left, right - mean_right);
        both += left * right;
        of_left += left * left;
        of_right += right * right;
    }
    // Two roots, since the product of two small sums may underflow; rounding may pass 1 by a bit.
    (both / (of_left.sqrt() * of_right.sqrt())).clamp(-1.0, 1.0)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for equal in order.chunk_by(|left, right| values[*left] == values[*right]) {
        let mean = start as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|place| ranks[*place] = mean);
        start += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::{Metric, Pearson, Predictions, Spearman, Tensor};

    fn regression(predicted: &[f64], labels: &[f64]) -> Predictions {
        let logits = Tensor::from_slice(predicted).unsqueeze(-1);
        Predictions::new(vec![logits], vec![Tensor::from_slice(labels)], None).unwrap()
    }

    // scipy 1.17.1: x = [.2, 1.5, -.3, 2.5, 1.5, .9]; y = [0, 1, .5, 3, 2, .5]
    // pearsonr(x, y)[0], spearmanr(x, y)[0]
    #[test]
    fn are_those_of_scipy() {
        let data = regression(&[0.2, 1.5, -0.3, 2.5, 1.5, 0.9], &[0.0, 1.0, 0.5, 3.0, 2.0, 0.5]);
        assert!((Pearson.value(&data).unwrap() - 0.873_114_101_580_687_7).abs() < 1e-14);
        assert!((Spearman.value(&data).unwrap() - 0.882_352_941_176_470_6).abs() < 1e-14);
    }

    #[test]
    fn are_zero_of_constant_numbers_and_of_one_example() {
        for (predicted, labels) in [(&[0.1, 0.1, 0.1][..], &[1.0, 2.0, 3.0][..]), (&[1.0], &[1.0])] {
            let metrics: [&dyn Metric; 2] = [&Pearson, &Spearman];
            for metric in metrics {
                assert_eq!(metric.value(&regression(predicted, labels)).unwrap(), 0.0);
            }
        }
    }

    #[test]
    fn refuse_numbers_that_are_not_finite_and_classes() {
        let error = Pearson.value(&regression(&[0.0, f64::NAN], &[1.0, 2.0])).unwrap_err().to_string();
        assert!(error.contains("that of example 1"), "{error}");
        let classes = super::super::classes::cases::four_classes();
        let error = Spearman.value(&classes).unwrap_err().to_string();
        assert!(error.contains("one number an example"), "{error}");
    }
}
