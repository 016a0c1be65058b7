//! Exact match: `number of rows whose labels are all predicted / number of rows with a label`, where each document of a
//! packed row is a row of its own.
//!
//! For a language model this is the share of answers that greedy decoding writes word for word: the tokens before a position
//! are the label's if and only if all of them were predicted.

use tch::Tensor;

use super::Metric;
use super::labelled_rows::{Labelled, pairs};
use crate::error::Result;
use crate::observe::Predictions;

/// The share of rows of which every label is the most likely token, 0 to 1. In packed rows, each document counts as a row.
///
/// A language model's logits predict the next token, so it is [`next_token(ExactMatch)`](crate::loss::next_token) that
/// measures it, with labels on answers only. Only two numbers of each row stay in memory. Texts are compared by
/// [`exact_match`](super::exact_match).
///
/// ```
/// use brew_core::loss::next_token;
/// use brew_core::prelude::*;
/// use brew_core::observe::{ExactMatch, Predictions};
///
/// // After token 5 the model predicts 1, then 0; the answers are 1 2 and 1.
/// let logits = Tensor::from_slice(&[1i64, 0, 3, 1, 0, 3]).one_hot(6).to_kind(Kind::Float).view([2, 3, 6]);
/// let labels = Tensor::from_slice(&[-100i64, 1, 2, -100, 1, -100]).view([2, 3]);
/// let predictions = Predictions::new(vec![logits], vec![labels], None)?;
/// assert_eq!(next_token(ExactMatch).value(&predictions)?, 0.5);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactMatch;

/// Of each row, or document, the number of labels that are not predicted, and of labels.
fn sums(predictions: &Predictions) -> Result<Tensor> {
    let labelled = Labelled::of("exact_match", predictions)?;
    let missed = labelled.logits.f_argmax(-1, false)?.f_ne_tensor(&labelled.labels)?;
    labelled.sums(&missed)
}

impl Metric for ExactMatch {
    fn name(&self) -> &'static str {
        "exact_match"
    }

    fn of_labelled_batch(&self, batch: &Predictions) -> Result<Option<Tensor>> {
        sums(batch).map(Some)
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let pairs = pairs("exact_match", predictions, sums)?;
        Ok(pairs.iter().filter(|(missed, _)| *missed == 0.0).count() as f64 / pairs.len() as f64)
    }

    fn check(&self, _rows: &Predictions) -> Result<()> {
        // Reducing the batch checked all of it; two rows may lack labels.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::next_token;
    use tch::Kind;

    // By hand: rows 4 7 9, 4 7 9 with 9 not counted, 8 -100 2, and one without a label, of which 7 1 0 is predicted, and 6 2 0.
    #[test]
    fn a_row_counts_if_all_its_labels_are_predicted() {
        let logits =
            Tensor::from_slice(&[7_i64, 1, 0, 7, 1, 0, 6, 2, 0, 6, 2, 0]).one_hot(10).view([4, 3, 10]);
        let logits = logits.to_kind(Kind::Float);
        let labels = Tensor::from_slice(&[4_i64, 7, 9, 4, 7, 9, 8, -100, 2, 1, -100, -100]).view([4, 3]);
        let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]).view([4, 3]).ne(0);
        let predictions = Predictions::new(vec![logits], vec![labels], Some(mask)).unwrap();
        assert!((next_token(ExactMatch).value(&predictions).unwrap() - 2.0 / 3.0).abs() < 1e-15);
    }
}
