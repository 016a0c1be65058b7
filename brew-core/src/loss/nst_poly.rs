//! Neuron selectivity transfer with the polynomial kernel: two layers' channels as samples.
//!
//! With F of an example, `(channels, positions)`, each channel divided by its L2 norm over the
//! positions, and K(X, Y) = mean over the pairs of channels of (x . y)^2:
//!
//! - mean over the examples of K(t, t) + K(s, s) - 2 K(s, t)
//!
//! It is the squared maximum mean discrepancy; the numbers of channels may differ. Source: Huang and
//! Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer" (2017), equation 6
//! with d = 2 and c = 0. TextBrewer's form of it, for two layers, is [`Nst`](super::Nst).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::channels::{Equal, channels, mismatches};
use super::examples::Examples;
use super::uses::{MatchLoss, OneLayer};
use super::vectors::unit;
use super::{Average, Features, Loss, Term};
use crate::error::Result;
use crate::role::Hidden;

/// Maximum mean discrepancy of two layers' channels.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`.
///
/// ```
/// use brew_core::loss::{Loss, NstPoly, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 0.0]).view([1, 1, 1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[0.0, 4.0]).view([1, 1, 1, 2]));
/// assert_eq!(NstPoly.term(&student, &teacher)?.mean()?.double_value(&[]), 2.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NstPoly;

impl Loss for NstPoly {
    fn name(&self) -> &'static str {
        "nst_poly"
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Positions)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let student = unit(&channels(student, mask)?, 2)?;
        let teacher = unit(&channels(teacher, mask)?, 2)?;
        let within = kernel(&student, &student)?.f_add(&kernel(&teacher, &teacher)?)?;
        Examples::under(mask)?.term(&within.f_sub(&kernel(&student, &teacher)?.f_mul_scalar(2.0)?)?)
    }
}

/// K of each example.
fn kernel(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let products = left.f_bmm(&right.f_transpose(1, 2)?)?;
    Ok(products.f_square()?.f_mean_dim([1_i64, 2].as_slice(), false, None)?)
}

impl MatchLoss<Hidden, OneLayer> for NstPoly {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "nst_poly",
    summary: "maximum mean discrepancy of channels, with the kernel (x . y)^2",
    source: "Huang and Wang 2017, arXiv 1707.01219",
    roles: &["hidden"],
    make: |_| boxed(NstPoly),
    ..Entry::EMPTY
}];
