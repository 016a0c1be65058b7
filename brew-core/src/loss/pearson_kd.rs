//! Distillation by Pearson's correlation: compares features regardless of scale and offset.
//!
//! Each channel is scaled to mean 0 and standard deviation 1 over all positions of the batch (the deviation
//! divides by their number minus 1, and 1e-6 is added to it):
//!
//! - half the mean of the squared differences
//!
//! Up to the small constants it is 1 - r for the correlations r of the channels. It reads the whole batch.
//! Source: Cao et al., "PKD: General Distillation Framework for Object Detectors via Pearson Correlation
//! Coefficient" (2022). TextBrewer's `pkd` is a different loss: see [`Pkd`](super::Pkd).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::channels::{Equal, channels, mismatches};
use super::term::positions;
use super::uses::{MatchLoss, OneLayer};
use super::{Features, Loss, Term};
use crate::error::Result;
use crate::role::Hidden;

const EPSILON: f64 = 1e-6;

/// Half the squared difference of standardised channels.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`.
///
/// ```
/// use brew_core::loss::{Loss, PearsonKd, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 3.0]).view([1, 1, 1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[70.0, 80.0, 90.0]).view([1, 1, 1, 3]));
/// assert!(PearsonKd.term(&student, &teacher)?.mean()?.double_value(&[]) < 1e-9);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PearsonKd;

impl Loss for PearsonKd {
    fn name(&self) -> &'static str {
        "pearson_kd"
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Both)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let standard = |read: &Features| standardised(&channels(read, mask)?, mask);
        let difference = standard(student)?.f_sub(&standard(teacher)?)?;
        Term::positions(&difference.f_square()?.f_mean_dim(1, false, None)?, mask)?.times(0.5)
    }
}

/// Each channel with mean 0 and deviation 1 over the positions that count; 0 elsewhere.
fn standardised(features: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (batch, _, length) = features.size3()?;
    let counts = match mask {
        Some(mask) => positions(mask)?.f_unsqueeze(1)?,
        None => Tensor::f_ones([batch, 1, length], (tch::Kind::Bool, features.device()))?,
    };
    let count = counts.f_sum(features.kind())?;
    let over = [0_i64, 2];
    let mean = features.f_sum_dim_intlist(over.as_slice(), true, None)?.f_div(&count.f_clamp_min(1.0)?)?;
    let centred = features.f_sub(&mean)?.f_masked_fill(&counts.f_logical_not()?, 0.0)?;
    let squares = centred.f_square()?.f_sum_dim_intlist(over.as_slice(), true, None)?;
    let variance = squares.f_div(&count.f_sub_scalar(1.0)?.f_clamp_min(1.0)?)?;
    // The square root's gradient at 0 is infinite, so a constant channel gets no gradient.
    let still = variance.f_eq(0.0)?;
    let deviation = variance.f_masked_fill(&still, 1.0)?.f_sqrt()?.f_masked_fill(&still, 0.0)?;
    Ok(centred.f_div(&deviation.f_add_scalar(EPSILON)?)?)
}

impl MatchLoss<Hidden, OneLayer> for PearsonKd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "pearson_kd",
    summary: "half the squared difference of channels standardised over the batch",
    source: "Cao et al. 2022, arXiv 2207.02039",
    roles: &["hidden"],
    make: |_| boxed(PearsonKd),
    ..Entry::EMPTY
}];
