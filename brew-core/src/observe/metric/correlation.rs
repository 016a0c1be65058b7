//! Correlations of predicted numbers with true ones.
//!
//! - Pearson: `Σ (x - x̄)(y - ȳ) / sqrt(Σ (x - x̄)² Σ (y - ȳ)²)`;
//! - Spearman: Pearson's correlation of the ranks, where equal numbers share the mean of their ranks.
//!
//! scipy's `pearsonr` and `spearmanr`; GLUE's metrics for STS-B.

use tch::{Kind, Tensor};

use super::Metric;
use super::classes::{one_head, problem};
use crate::error::{Error, Result};
use crate::model::ProblemType;
use crate::observe::Predictions;

/// The linear correlation of a regression's predictions with its labels, -1 to 1.
///
/// It is 0 where it is undefined because one side is constant or there is only one example (scipy gives NaN
/// or refuses). Data without examples is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pearson;

/// The correlation of the ranks of a regression's predictions and labels, -1 to 1.
///
/// It is 0 where it is undefined, as for [`Pearson`].
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
pub(super) fn numbers(metric: &str, predictions: &Predictions) -> Result<(Vec<f64>, Vec<f64>)> {
    let (logits, labels) = one_head(metric, predictions)?;
    let examples = logits.size().first().copied().unwrap_or(0);
    if logits.numel() != labels.numel() || i64::try_from(logits.numel()) != Ok(examples) {
        return Err(Error::invalid(format!(
            "{metric} needs one number per example: the predictions are {:?}, the labels are {:?}",
            logits.size(),
            labels.size()
        )));
    }
    let meant = problem(metric, predictions, logits, &labels.f_reshape(logits.size())?)?;
    if meant != ProblemType::Regression {
        return Err(Error::invalid(format!(
            "{metric} measures numbers, but the head's `problem_type` is {meant}: measure classes with `Accuracy` or `F1`"
        )));
    }
    if examples == 0 {
        return Err(Error::invalid(format!("{metric} has nothing to measure: there are no examples")));
    }
    let values =
        |tensor: &Tensor| Ok::<_, Error>(Vec::try_from(&tensor.f_to_kind(Kind::Double)?.f_reshape([-1])?)?);
    let (predicted, labels): (Vec<f64>, Vec<f64>) = (values(logits)?, values(labels)?);
    match predicted.iter().chain(&labels).position(|value| !value.is_finite()) {
        Some(place) => Err(Error::invalid(format!(
            "{metric} needs finite numbers, but that of example {} is not",
            place % predicted.len()
        ))),
        None => Ok((predicted, labels)),
    }
}

fn pearson(left: &[f64], right: &[f64]) -> f64 {
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
    if constant(left) || constant(right) {
        return 0.0;
    }
    let (left, right) = (unit(left), unit(right));
    let both: f64 = left.iter().zip(&right).map(|(left, right)| left * right).sum();
    // Rounding may exceed 1 slightly.
    both.clamp(-1.0, 1.0)
}

/// The distances from the mean, as a unit vector. Numbers are divided by the largest before they are summed,
/// distances before they are squared, so that neither overflows nor underflows; scipy's `pearsonr` scales the
/// distances in the same way, but not the sum.
fn unit(values: &[f64]) -> Vec<f64> {
    let scaled = |values: &[f64]| -> Vec<f64> {
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        // The inverse of a subnormal number is infinite.
        values.iter().map(|value| value / if largest > 0.0 { largest } else { 1.0 }).collect()
    };
    let values = scaled(values);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let distances: Vec<f64> = scaled(&values.iter().map(|value| value - mean).collect::<Vec<_>>());
    let length = distances.iter().map(|distance| distance * distance).sum::<f64>().sqrt();
    distances.iter().map(|distance| distance / if length > 0.0 { length } else { 1.0 }).collect()
}

/// Ranks from 1; equal values share the mean of their ranks.
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

    // scipy 1.17.1: the x and y above, multiplied by these; pearsonr(x * s, y * t)[0] is
    // 0.873114101580687 to 14 digits for each (1.5e-15 off where numbers are below the normal ones), and
    // spearmanr(x * s, y * t)[0] 0.8823529411764706. With s = 7e307 scipy's sum overflows and it gives NaN;
    // a correlation does not depend on the scale.
    #[test]
    fn do_not_depend_on_the_scale_of_the_numbers() {
        let (x, y) = ([0.2, 1.5, -0.3, 2.5, 1.5, 0.9], [0.0, 1.0, 0.5, 3.0, 2.0, 0.5]);
        let by = |scale: f64, values: &[f64]| values.iter().map(|value| value * scale).collect::<Vec<_>>();
        for scale in [1e-160, 1e160, 1e-200, 1e200, 1e-300, 1e300, 5e-310, 5e307] {
            for (left, right) in [(scale, 1.0), (1.0, scale), (scale, scale), (scale, -scale)] {
                let data = regression(&by(left, &x), &by(right, &y));
                let (pearson, spearman) = (Pearson.value(&data).unwrap(), Spearman.value(&data).unwrap());
                let sign = right.signum();
                assert!(
                    (sign * pearson - 0.873_114_101_580_687_7).abs() < 1e-14,
                    "{left} {right}: {pearson}"
                );
                assert!(
                    (sign * spearman - 0.882_352_941_176_470_6).abs() < 1e-14,
                    "{left} {right}: {spearman}"
                );
            }
        }
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
        let error = Pearson.value(&regression(&[], &[])).unwrap_err().to_string();
        assert!(error.contains("there are no examples"), "{error}");
        let classes = super::super::classes::cases::four_classes();
        let error = Spearman.value(&classes).unwrap_err().to_string();
        assert!(error.contains("one number per example"), "{error}");
    }
}
