//! Attention transfer: compares where layers are active, regardless of channels (unrelated to a transformer's
//! attention).
//!
//! With F of `(batch, channels, positions)`, and a = mean_c F^2 of an example, divided by its L2 norm
//! over the positions that count:
//!
//! - `at_mse`, as in the authors' code: mean over the positions of (a_s - a_t)^2
//! - `at_norm`, as in the paper: mean over the examples of | a_s - a_t |_2
//!
//! The two differ by more than a factor of 50, so a weight is only meaningful for one of them: the code's
//! weights are around 1000. The sides may have different numbers of channels. Source: Zagoruyko and
//! Komodakis, "Paying More Attention to Attention" (2017); the paper has an additional factor of beta / 2.

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::channels::{Equal, channels, mismatches};
use super::examples::Examples;
use super::uses::{MatchLoss, OneLayer};
use super::vectors::unit;
use super::{Average, Features, Loss, Term};
use crate::error::Result;
use crate::role::Hidden;

/// Squared difference of where two layers are active (as in the authors' code).
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`.
///
/// ```
/// use brew_core::loss::{AtMse, AtNorm, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// // One channel of two positions, of which another one is active.
/// let student = Features::one(Tensor::from_slice(&[3.0, 0.0]).view([1, 1, 1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[0.0, 5.0]).view([1, 1, 1, 2]));
/// assert_eq!(AtMse.term(&student, &teacher)?.mean()?.double_value(&[]), 1.0);
/// assert_eq!(AtNorm.term(&student, &teacher)?.mean()?.double_value(&[]), 2.0_f64.sqrt());
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtMse;

/// Distance between where two layers are active (as in the paper).
///
/// Features are those of [`AtMse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtNorm;

impl Loss for AtMse {
    fn name(&self) -> &'static str {
        "at_mse"
    }
    fn reads_whole_row(&self) -> bool {
        // Each position's activity is relative to those of the row.
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Positions)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        Term::positions(&difference(student, teacher, mask)?.f_square()?, mask)
    }
}

impl Loss for AtNorm {
    fn name(&self) -> &'static str {
        "at_norm"
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Positions)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let difference = difference(student, teacher, mask)?;
        Examples::under(mask)?.term(&difference.f_norm_scalaropt_dim(2, [1_i64].as_slice(), false)?)
    }
}

/// a of the student minus that of the teacher, `(batch, positions)`.
fn difference(student: &Features, teacher: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let active = |read: &Features| unit(&channels(read, mask)?.f_square()?.f_mean_dim(1, false, None)?, 1);
    Ok(active(student)?.f_sub(&active(teacher)?)?)
}

impl MatchLoss<Hidden, OneLayer> for AtMse {}
impl MatchLoss<Hidden, OneLayer> for AtNorm {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "at_mse",
        summary: "attention transfer as its code has it: mean of squares",
        source: "Zagoruyko and Komodakis 2017, arXiv 1612.03928, code",
        roles: &["hidden"],
        make: |_| boxed(AtMse),
        ..Entry::EMPTY
    },
    Entry {
        name: "at_norm",
        summary: "attention transfer as its paper has it: mean of L2 norms",
        source: "Zagoruyko and Komodakis 2017, arXiv 1612.03928, equation 2",
        roles: &["hidden"],
        make: |_| boxed(AtNorm),
        ..Entry::EMPTY
    },
];
