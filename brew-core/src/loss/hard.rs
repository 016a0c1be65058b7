//! Hard labels: the model's own loss against the ground truth, as its adaptor gives it.
//!
//! A vector with one value an example is averaged over the examples of the whole window; a scalar is
//! taken as the mean of its batch. Source: TextBrewer's `losses` key, `sum_l loss_l.mean()`.

use super::{Loss, Read, Term};
use crate::error::{Error, Result};

/// The student's own losses. It reads nothing of a teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardLabels;

impl Loss for HardLabels {
    fn name(&self) -> &'static str {
        "hard_labels"
    }

    fn mismatches(&self, student: &Read, _: &Read) -> Vec<String> {
        match student.shape().as_slice() {
            [] | [_] => Vec::new(),
            other => vec![format!(
                "`losses` is {}; it must be one value an example, (batch,), or a scalar that is their mean",
                super::term::shape(other)
            )],
        }
    }

    fn term(&self, student: &Read, _: &Read) -> Result<Term> {
        if student.features.is_empty() {
            return Err(Error::invalid("the student's `losses` are absent: the batch has no labels"));
        }
        Term::rows(&student.first()?.f_reshape([-1])?)
    }
}
