//! Inter-channel correlation: compares which channels of a layer are active together.
//!
//! With F of an example, `(channels, positions)`, C channels and N examples that have a position:
//!
//! - G = F F^T with its rows divided by their L2 norms
//! - sum over the examples of | G of the student - G of the teacher |_F^2 / (C N^2)
//!
//! Positions are summed over, so the sides may have different sizes; the number of channels must be equal.
//! The division by N^2 is as in the published code: the value shrinks as the batch grows. Source: Liu et al.,
//! "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge Distillation" (2021).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::channels::{Equal, channels, mismatches};
use super::examples::Examples;
use super::uses::{MatchLoss, OneLayer};
use super::vectors::unit;
use super::{Average, Features, Loss, Masks, Term};
use crate::error::Result;
use crate::role::Hidden;

/// Squared difference of the correlations of channels.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`.
///
/// ```
/// use brew_core::loss::{Ickd, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 0.0, 0.0, 1.0]).view([1, 2, 1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[0.0, 7.0, 7.0, 0.0]).view([1, 2, 1, 2]));
/// assert_eq!(Ickd.term(&student, &teacher)?.mean()?.double_value(&[]), 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ickd;

impl Loss for Ickd {
    fn name(&self) -> &'static str {
        "ickd"
    }
    fn masks(&self) -> Masks {
        Masks::Own
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Channels)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let teachers_mask = teacher.mask.as_ref().or(student.mask.as_ref());
        let examples = Examples::of(student, teacher)?;
        let student = correlations(student, student.mask.as_ref())?;
        let difference = student.f_sub(&correlations(teacher, teachers_mask)?)?;
        let (rows, channels, _) = difference.size3()?;
        let sum = difference.f_square()?.f_sum(difference.kind())?;
        let count = examples.number(rows, &sum)?.f_clamp_min(1.0)?;
        examples.batch_term(&sum.f_div(&count.f_square()?)?.f_div_scalar(channels as f64)?, rows)
    }
}

/// G, `(batch, channels, channels)`.
fn correlations(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let features = channels(read, mask)?;
    unit(&features.f_bmm(&features.f_transpose(1, 2)?)?, 2)
}

impl MatchLoss<Hidden, OneLayer> for Ickd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "ickd",
    summary: "squared difference of the correlations of channels, over C N^2",
    source: "Liu et al. 2021, arXiv 2103.14475",
    roles: &["hidden"],
    make: |_| boxed(Ickd),
    ..Entry::EMPTY
}];
