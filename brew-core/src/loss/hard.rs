//! Hard labels: the model's own loss on the ground truth, as provided by its adaptor.
//!
//! With the values l_i of a loss and their counts c_i:
//!
//! - sum_{i: c_i > 0} l_i / sum_i c_i, over the whole window of accumulated batches
//! - a scalar is the mean of its batch: l sum_i c_i / sum_i c_i over the window; if it is unknown what it is
//!   the mean of, it counts once per row
//!
//! c_i is 0 where the label is -100 and 1 elsewhere, unless the model says otherwise
//! ([`Forward::losses_count`](crate::model::Forward::losses_count)). With several losses the means are added
//! up. Source: PyTorch's `cross_entropy` with `ignore_index` -100, as used by Python's transformers;
//! TextBrewer's `losses` key, `sum_l loss_l.mean()` of such scalars.

use tch::Tensor;

use super::term::{keep, wide};
use super::{Average, Features, Loss, Term};
use crate::error::{Error, Result};
use crate::words::shape;

/// The student's own losses. It does not read any teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardLabels;

/// The key of the values' counts in the student's [`Features::also`].
const COUNTS: &str = "losses_count";

impl HardLabels {
    /// The inputs for one loss; counts whose shape does not fit are ignored.
    pub(crate) fn read(losses: Tensor, counts: Option<Tensor>) -> Features {
        let counts = counts.filter(|counts| losses.dim() == 0 || losses.size() == counts.size());
        let also = counts.map(|counts| (COUNTS, counts)).into_iter().collect();
        Features { also, ..Features::one(losses) }
    }
}

impl Loss for HardLabels {
    fn name(&self) -> &'static str {
        "hard_labels"
    }

    fn mismatches(&self, student: &Features, _: &Features) -> Vec<String> {
        match student.shape().as_slice() {
            [] | [_] => Vec::new(),
            _ if student.also.contains_key(COUNTS) => Vec::new(),
            other => vec![format!(
                "`losses` is {}; it must be one value per example, (batch,), one per integer label, or a scalar that is their mean",
                shape(other)
            )],
        }
    }

    fn term(&self, student: &Features, _: &Features) -> Result<Term> {
        if student.tensors.is_empty() {
            return Err(Error::invalid("the student's `losses` are absent: the batch has no labels"));
        }
        let losses = wide(student.feature()?)?;
        let Some(counts) = student.also.get(COUNTS) else { return Term::rows(&losses.f_reshape([-1])?) };
        let kind = losses.kind();
        let count = counts.f_sum(kind)?;
        let sum = match losses.dim() {
            0 => keep(&losses, &count.f_gt(0.0)?)?.f_mul(&count)?,
            _ => keep(&losses, &counts.f_gt(0.0)?)?.f_sum(kind)?,
        };
        Ok(Term::new(sum, count, Average::Labels))
    }
}
