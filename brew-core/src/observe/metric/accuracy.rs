//! Accuracy: `number of correct predictions / number of predictions`.
//!
//! scikit-learn's `accuracy_score`. If several classes may apply to an example, the example is correct only
//! if all its classes are (subset accuracy).

use super::Metric;
use super::classes::Classes;
use crate::error::Result;
use crate::observe::Predictions;

/// The share of examples, or of tokens with a label, that are predicted correctly, 0 to 1.
///
/// With integer labels the class of the largest logit is predicted; with float labels in the shape of
/// the logits, the classes with a logit above 0.
///
/// Labels outside 0 to classes - 1 (other than -100), NaN logits, and data in which no label counts are
/// errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let (right, all) = match Classes::of("accuracy", predictions)?.not_empty("accuracy")? {
            Classes::One(pairs) => {
                (pairs.iter().filter(|(predicted, label)| predicted == label).count(), pairs.len())
            }
            Classes::Any(rows) => {
                let right =
                    |row: &&Vec<(bool, bool)>| row.iter().all(|(predicted, label)| predicted == label);
                (rows.iter().filter(right).count(), rows.len())
            }
        };
        Ok(right as f64 / all as f64)
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        Classes::of("accuracy", rows).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::cases::{four_classes, multi_label, single};
    use super::{Accuracy, Metric as _, Predictions};
    use crate::model::ProblemType;
    use tch::Tensor;

    // scikit-learn 1.9.1: accuracy_score([0,1,2,2,1,0,3,1,2,0,1,2], [0,2,2,2,1,1,0,1,0,0,1,1]), and
    // accuracy_score([[1,0,1],[0,0,1],[1,1,0],[0,0,0]], [[1,0,0],[0,1,1],[1,0,0],[0,0,0]])
    #[test]
    fn is_that_of_scikit_learn() {
        assert!((Accuracy.value(&four_classes()).unwrap() - 0.583_333_333_333_333_4).abs() < 1e-15);
        assert_eq!(Accuracy.value(&multi_label()).unwrap(), 0.25);
    }

    // By hand: of the three tokens that count, one is correct; the mask hides a fourth.
    #[test]
    fn counts_tokens_that_have_a_label_and_are_not_masked() {
        let logits = Tensor::from_slice(&[1_i64, 0, 1, 1, 0, 0]).one_hot(2).reshape([2, 3, 2]);
        let labels = Tensor::from_slice(&[1_i64, -100, 0, 0, 0, -100]).reshape([2, 3]);
        let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 0, 0]).reshape([2, 3]).ne(0);
        let predictions = Predictions::new(vec![logits], vec![labels], Some(mask)).unwrap();
        assert!((Accuracy.value(&predictions).unwrap() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn data_without_labels_or_of_which_no_label_counts_is_an_error() {
        let nothing = single(2, &[0, 1], &[-100, -100]);
        let error = Accuracy.value(&nothing).unwrap_err().to_string();
        assert!(error.contains("no label counts; every label is -100"), "{error}");
        Accuracy.check(&nothing).unwrap();
        let unlabelled = Predictions::new(vec![Tensor::from_slice2(&[[0.0_f32, 1.0]])], vec![], None);
        let error = Accuracy.value(&unlabelled.unwrap()).unwrap_err().to_string();
        assert!(error.contains("the role `labels`"), "{error}");
    }

    // scikit-learn has no number of classes to compare labels with; the rule is PyTorch's cross_entropy:
    // "Target 2 is out of bounds", and ignore_index = -100.
    #[test]
    fn labels_outside_of_the_classes_are_refused_with_their_example() {
        for label in [-1, 2, -101, i64::MAX] {
            let wrong = single(2, &[0, 1, 1], &[0, -100, label]);
            let error = Accuracy.value(&wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("the label of example 2 is {label}")), "{error}");
            assert!(error.contains("labels are 0 to 1"), "{error}");
        }
    }

    // By hand; -100 as an unsigned 8-bit number is 156, which is a class here.
    #[test]
    fn no_class_of_eight_bits_is_taken_for_a_missing_label() {
        let labels = Tensor::from_slice(&[156_u8, 3]);
        let predicted = Tensor::from_slice(&[7_i64, 3]).one_hot(200).to_kind(tch::Kind::Float);
        let predictions = Predictions::new(vec![predicted], vec![labels], None).unwrap();
        assert_eq!(Accuracy.value(&predictions).unwrap(), 0.5);
    }

    // scikit-learn 1.9.1: accuracy_score([0, 1], [0, nan]) is "ValueError: Input y_pred contains NaN."
    #[test]
    fn logits_that_are_nan_are_refused_where_they_count() {
        let logits = || Tensor::from_slice2(&[[0.0_f32, 1.0], [f32::NAN, 1.0]]);
        let of = |labels: &[i64]| Predictions::new(vec![logits()], vec![Tensor::from_slice(labels)], None);
        let error = Accuracy.value(&of(&[1, 1]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("a logit of example 1 is NaN"), "{error}");
        assert_eq!(Accuracy.value(&of(&[1, -100]).unwrap()).unwrap(), 1.0);
    }

    #[test]
    fn labels_of_the_wrong_kind_are_refused_with_the_mend() {
        let logits = || vec![Tensor::from_slice2(&[[0.0_f32, 1.0], [2.0, 1.0]])];
        let of = |labels: Tensor| Predictions::new(logits(), vec![labels], None).unwrap();
        for (labels, said) in [
            (
                Tensor::from_slice2(&[[0_i64, 1], [1, 1]]),
                "if several classes may apply, declare the column as f32",
            ),
            (Tensor::from_slice(&[0.0_f32, 1.0]), "declare the column as i64"),
            (Tensor::from_slice2(&[[0.0_f32, 1.0], [2.0, 1.0]]), "the label of example 1, class 0 is 2"),
            (
                Tensor::from_slice2(&[[0.0_f32, f32::NAN], [0.0, 1.0]]),
                "the label of example 0, class 1 is NaN",
            ),
        ] {
            let error = Accuracy.value(&of(labels)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let one = vec![Tensor::from_slice2(&[[0.3_f32], [-2.0]])];
        let one = Predictions::new(one, vec![Tensor::from_slice(&[0_i64, 0])], None).unwrap();
        let error = Accuracy.value(&one).unwrap_err().to_string();
        assert!(error.contains("is a regression"), "{error}");
    }

    // By hand, of logits of (2, 2, 2) whose last token is padding: of three tokens that count, the first and
    // the last have the right classes. With one logit, a yes or no per example: two of three are correct.
    #[test]
    fn several_labels_count_where_the_mask_shows_and_one_logit_may_be_a_yes_or_no() {
        let logits = Tensor::from_slice(&[1.0_f32, -1.0, 2.0, 3.0, -1.0, 1.0, f32::NAN, 0.0]).view([2, 2, 2]);
        let labels = Tensor::from_slice(&[1.0_f32, 0.0, 0.0, 1.0, 0.0, 1.0, -100.0, -100.0]).view([2, 2, 2]);
        let mask = Tensor::from_slice2(&[[1_i64, 1], [1, 0]]).ne(0);
        let of = |mask| {
            Predictions::new(vec![logits.shallow_clone()], vec![labels.shallow_clone()], mask).unwrap()
        };
        assert!((Accuracy.value(&of(Some(mask))).unwrap() - 2.0 / 3.0).abs() < 1e-15);
        let error = Accuracy.value(&of(None)).unwrap_err().to_string();
        assert!(error.contains("the label of example 1, token 1, class 0 is -100"), "{error}");

        let one = Tensor::from_slice2(&[[2.0_f32], [-1.0], [-0.5]]);
        let labels = Tensor::from_slice(&[1.0_f32, 0.0, 1.0]);
        let one = Predictions::new(vec![one], vec![labels], None).unwrap();
        assert!(Accuracy.value(&one).is_err());
        let one = one.with_problem(Some(ProblemType::MultiLabelClassification));
        assert!((Accuracy.value(&one).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    }
}
