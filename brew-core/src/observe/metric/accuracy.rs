//! Accuracy: `number of right predictions / number of predictions`.
//!
//! scikit-learn's `accuracy_score`. Where any number of classes may be true of an example, an example
//! is right when all its classes are (the subset accuracy).

use super::Metric;
use super::classes::Classes;
use crate::error::Result;
use crate::observe::Predictions;

/// The share of examples, or of tokens with a label, that are predicted rightly, 0 to 1; 0 where there
/// are none.
///
/// With integer labels the class of the largest logit is predicted; with float labels in the shape of
/// the logits, the classes with a logit above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (right, all) = match Classes::of("accuracy", predictions)? {
            Classes::One(pairs) => {
                (pairs.iter().filter(|(predicted, label)| predicted == label).count(), pairs.len())
            }
            Classes::Any(rows) => {
                let right =
                    |row: &&Vec<(bool, bool)>| row.iter().all(|(predicted, label)| predicted == label);
                (rows.iter().filter(right).count(), rows.len())
            }
        };
        Ok(if all == 0 { 0.0 } else { right as f64 / all as f64 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::cases::{four_classes, multi_label, single};
    use super::{Accuracy, Metric as _, Predictions};
    use tch::Tensor;

    // scikit-learn 1.9.1: accuracy_score([0,1,2,2,1,0,3,1,2,0,1,2], [0,2,2,2,1,1,0,1,0,0,1,1]), and
    // accuracy_score([[1,0,1],[0,0,1],[1,1,0],[0,0,0]], [[1,0,0],[0,1,1],[1,0,0],[0,0,0]])
    #[test]
    fn is_that_of_scikit_learn() {
        assert!((Accuracy.value(&four_classes()).unwrap() - 0.583_333_333_333_333_4).abs() < 1e-15);
        assert_eq!(Accuracy.value(&multi_label()).unwrap(), 0.25);
    }

    // By hand: of the tokens that count, one of three is right; the mask hides a fourth.
    #[test]
    fn counts_tokens_that_have_a_label_and_are_not_masked() {
        let logits = Tensor::from_slice(&[1_i64, 0, 1, 1, 0, 0]).one_hot(2).reshape([2, 3, 2]);
        let labels = Tensor::from_slice(&[1_i64, -100, 0, 0, 0, -100]).reshape([2, 3]);
        let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 0, 0]).reshape([2, 3]).ne(0);
        let predictions = Predictions::new(vec![logits], vec![labels], Some(mask)).unwrap();
        assert!((Accuracy.value(&predictions).unwrap() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn is_zero_where_no_label_counts_and_an_error_without_labels() {
        assert_eq!(Accuracy.value(&single(2, &[0, 1], &[-100, -100])).unwrap(), 0.0);
        let unlabelled = Predictions::new(vec![Tensor::from_slice2(&[[0.0_f32, 1.0]])], vec![], None);
        let error = Accuracy.value(&unlabelled.unwrap()).unwrap_err().to_string();
        assert!(error.contains("the role `labels`"), "{error}");
    }
}
