//! The Matthews correlation coefficient, over any number of classes (Gorodkin 2004):
//!
//! `(c s - Σ p_k t_k) / (sqrt(s² - Σ p_k²) sqrt(s² - Σ t_k²))`
//!
//! with `s` examples, `c` of them correct, `p_k` predicted as class `k` and `t_k` of class `k`.
//! scikit-learn's `matthews_corrcoef`; GLUE's metric for CoLA.

use std::collections::BTreeMap;

use super::Metric;
use super::classes::Classes;
use crate::error::{Error, Result};
use crate::observe::Predictions;

/// The Matthews correlation of single labels, -1 to 1; 0 is chance.
///
/// If all predictions or all labels are of one class the formula is undefined, and the value is 0, as in
/// scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matthews;

/// The predicted and true class of each example that counts.
fn pairs(predictions: &Predictions) -> Result<Classes> {
    match Classes::of("matthews", predictions)? {
        Classes::Any(_) => Err(Error::invalid(
            "matthews needs one class per example, but these labels may be several: use `F1`",
        )),
        one => Ok(one),
    }
}

impl Metric for Matthews {
    fn name(&self) -> &'static str {
        "matthews"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let Classes::One(pairs) = pairs(predictions)?.not_empty("matthews")? else { return Ok(0.0) };
        let mut of_class: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        let mut right = 0.0;
        for (predicted, label) in &pairs {
            of_class.entry(*predicted).or_default().0 += 1.0;
            of_class.entry(*label).or_default().1 += 1.0;
            right += f64::from(predicted == label);
        }
        let sum = |value: fn(&(f64, f64)) -> f64| of_class.values().map(value).sum::<f64>();
        let all = pairs.len() as f64;
        let spread_predicted = all * all - sum(|(predicted, _)| predicted * predicted);
        let spread_true = all * all - sum(|(_, label)| label * label);
        let covariance = right * all - sum(|(predicted, label)| predicted * label);
        let spread = (spread_predicted * spread_true).sqrt();
        Ok(if spread == 0.0 { 0.0 } else { covariance / spread })
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        pairs(rows).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::cases::{four_classes, multi_label, single};
    use super::{Matthews, Metric as _};

    // scikit-learn 1.9.1: matthews_corrcoef(true, predicted), on the examples of the accuracy's test
    #[test]
    fn is_that_of_scikit_learn() {
        for (predictions, golden) in [
            (four_classes(), 0.408_503_685_102_833_4),
            (single(2, &[1, 0, 0, 1, 1, 0, 1], &[1, 1, 0, 1, 0, 0, 1]), 0.416_666_666_666_666_7),
            (single(2, &[1, 1, 1], &[1, 1, 1]), 0.0),
            (single(2, &[1, 1, 1], &[0, 1, 1]), 0.0),
        ] {
            let found = Matthews.value(&predictions).unwrap();
            assert!((found - golden).abs() < 1e-15, "{found} is not {golden}");
        }
    }

    #[test]
    fn refuses_data_of_which_nothing_counts_and_several_labels_an_example() {
        let error = Matthews.value(&single(2, &[0], &[-100])).unwrap_err().to_string();
        assert!(error.contains("no label counts"), "{error}");
        Matthews.check(&single(2, &[0], &[-100])).unwrap();
        let error = Matthews.value(&multi_label()).unwrap_err().to_string();
        assert!(error.contains("use `F1`"), "{error}");
    }
}
