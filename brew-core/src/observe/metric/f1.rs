//! F1 over classes: the harmonic mean of precision and recall, `2 tp / (2 tp + fp + fn)`.
//!
//! - macro: the mean of the F1 of each class;
//! - micro: the F1 of all classes' counts together.
//!
//! scikit-learn's `f1_score` with `average="macro"` or `"micro"`: with single labels over the classes that
//! are true or predicted anywhere, with multiple labels over all; a class that is never true and never
//! predicted has F1 0.

use std::collections::BTreeMap;

use super::Metric;
use super::classes::Classes;
use crate::error::Result;
use crate::observe::Predictions;

/// F1 over the classes of examples, or of tokens with a label, 0 to 1.
///
/// Predictions and refusals are as for [`Accuracy`](super::Accuracy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum F1 {
    /// Each class counts the same, however rare.
    Macro,
    /// Each example counts the same; for single labels it is the accuracy.
    Micro,
}

/// True positives, false positives, false negatives.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ConfusionCounts {
    pub(super) right: usize,
    pub(super) wrong: usize,
    pub(super) missed: usize,
}

impl ConfusionCounts {
    fn add(&mut self, predicted: bool, label: bool) {
        self.right += usize::from(predicted && label);
        self.wrong += usize::from(predicted && !label);
        self.missed += usize::from(!predicted && label);
    }

    /// `2 tp / (2 tp + fp + fn)`, 0 if nothing is true and nothing predicted.
    pub(super) fn f1(self) -> f64 {
        let all = 2 * self.right + self.wrong + self.missed;
        if all == 0 { 0.0 } else { 2.0 * self.right as f64 / all as f64 }
    }
}

impl Metric for F1 {
    fn name(&self) -> &'static str {
        match self {
            F1::Macro => "f1_macro",
            F1::Micro => "f1_micro",
        }
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let mut of_class: BTreeMap<i64, ConfusionCounts> = BTreeMap::new();
        match Classes::of(Metric::name(self), predictions)?.not_empty(Metric::name(self))? {
            Classes::One(pairs) => {
                for (predicted, label) in pairs {
                    of_class.entry(label).or_default().add(predicted == label, true);
                    if predicted != label {
                        of_class.entry(predicted).or_default().add(true, false);
                    }
                }
            }
            Classes::Any(rows) => {
                for (class, (predicted, label)) in rows.into_iter().flat_map(|row| (0..).zip(row)) {
                    of_class.entry(class).or_default().add(predicted, label);
                }
            }
        }
        Ok(match self {
            F1::Macro => of_class.values().map(|counts| counts.f1()).sum::<f64>() / of_class.len() as f64,
            F1::Micro => {
                let add = |sum: ConfusionCounts, class: &ConfusionCounts| ConfusionCounts {
                    right: sum.right + class.right,
                    wrong: sum.wrong + class.wrong,
                    missed: sum.missed + class.missed,
                };
                of_class.values().fold(ConfusionCounts::default(), add).f1()
            }
        })
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        Classes::of(Metric::name(self), rows).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::classes::cases::{four_classes, multi_label, single};
    use super::{F1, Metric as _};

    // scikit-learn 1.9.1, on the examples of the accuracy's test:
    // f1_score(true, predicted, average="macro") and average="micro"
    #[test]
    fn is_that_of_scikit_learn() {
        for (predictions, average, golden) in [
            (four_classes(), F1::Macro, 0.452_380_952_380_952_4),
            (four_classes(), F1::Micro, 0.583_333_333_333_333_4),
            (single(2, &[1, 0, 0, 1, 1, 0, 1], &[1, 1, 0, 1, 0, 0, 1]), F1::Macro, 0.708_333_333_333_333_3),
            (multi_label(), F1::Macro, 0.555_555_555_555_555_6),
            (multi_label(), F1::Micro, 0.666_666_666_666_666_6),
            (single(2, &[1, 1], &[1, 1]), F1::Macro, 1.0),
        ] {
            let found = average.value(&predictions).unwrap();
            assert!((found - golden).abs() < 1e-15, "{}: {found} is not {golden}", average.name());
        }
    }

    // scikit-learn 1.9.1: f1_score([], []) is "ValueError: Found empty input array".
    #[test]
    fn data_of_which_no_label_counts_is_an_error() {
        for average in [F1::Macro, F1::Micro] {
            let nothing = single(3, &[0, 1], &[-100, -100]);
            let error = average.value(&nothing).unwrap_err().to_string();
            assert!(error.contains("no label counts"), "{error}");
            average.check(&nothing).unwrap();
            let error = average.value(&single(3, &[0, 1], &[0, 3])).unwrap_err().to_string();
            assert!(error.contains("the label of example 1 is 3"), "{error}");
        }
    }
}
