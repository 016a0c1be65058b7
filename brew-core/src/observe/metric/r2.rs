//! The coefficient of determination of predicted numbers:
//!
//! `1 - Σ (y - x)² / Σ (y - ȳ)²`
//!
//! with labels `y`, their mean `ȳ` and predictions `x`. scikit-learn's `r2_score`.

use super::Metric;
use super::correlation::numbers;
use crate::error::Result;
use crate::observe::Predictions;

/// The share of the labels' variance that a regression explains: 1 is perfect, 0 is as good as the labels' mean,
/// and there is no lower bound.
///
/// If all labels are equal the formula is undefined: the value is 1 if every prediction is right and 0
/// otherwise, as in scikit-learn (which gives NaN for a single example).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct R2;

impl Metric for R2 {
    fn name(&self) -> &'static str {
        "r2"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (predicted, labels) = numbers("r2", predictions)?;
        let mean = labels.iter().sum::<f64>() / labels.len() as f64;
        let wrong: f64 = labels.iter().zip(&predicted).map(|(label, found)| (label - found).powi(2)).sum();
        let spread: f64 = labels.iter().map(|label| (label - mean).powi(2)).sum();
        Ok(match (wrong == 0.0, spread == 0.0) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => 1.0 - wrong / spread,
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::{Metric as _, Predictions, R2};

    fn value(predicted: &[f32], labels: &[f32]) -> f64 {
        let logits = Tensor::from_slice(predicted).unsqueeze(1);
        let predictions = Predictions::new(vec![logits], vec![Tensor::from_slice(labels)], None).unwrap();
        R2.value(&predictions).unwrap()
    }

    // scikit-learn 1.9.1: r2_score(true, predicted)
    #[test]
    fn is_that_of_scikit_learn() {
        for (predicted, labels, golden) in [
            (&[2.5, 0.0, 2.0, 8.0][..], &[3.0, -0.5, 2.0, 7.0][..], 0.948_608_137_044_967_9),
            (&[3.0, 2.0, 1.0], &[1.0, 2.0, 3.0], -3.0),
            (&[1.0, 2.0], &[1.0, 1.0], 0.0),
            (&[1.0, 1.0], &[1.0, 1.0], 1.0),
        ] {
            let found = value(predicted, labels);
            assert!((found - golden).abs() < 1e-15, "{found} is not {golden}");
        }
    }
}
