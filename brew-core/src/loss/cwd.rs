//! Channel-wise distillation: compares every channel as a distribution over positions.
//!
//! With F of an example, `(channels, positions)`, T the temperature, p and q the softmax over the
//! positions of a teacher's and a student's channel divided by T:
//!
//! - T^2 mean over examples and channels of sum_i p_i log(p_i / q_i)
//!
//! Only positions whose mask is not 0 have a share, and only examples with such a position are in the mean.
//! Source: Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction" (2021).

use serde_json::json;
use tch::Tensor;

use super::catalogue::{Entry, boxed, temperature};
use super::channels::{Equal, channels, mismatches};
use super::examples::Examples;
use super::term::{NO_SCORE, positions};
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Term};
use crate::error::Result;
use crate::role::Hidden;

/// Divergence of channels as distributions over positions.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of
/// `(batch, length, width)`.
///
/// ```
/// use brew_core::loss::{Cwd, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// // Adding a constant to all positions of a channel changes nothing.
/// let student = Features::one(Tensor::from_slice(&[1.0, 3.0]).view([1, 1, 1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[6.0, 8.0]).view([1, 1, 1, 2]));
/// assert!(Cwd::at(4.0).term(&student, &teacher)?.mean()?.double_value(&[]).abs() < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cwd {
    temperature: f64,
}

impl Cwd {
    /// At a temperature in (0, inf); 4 in the paper.
    pub fn at(temperature: f64) -> Self {
        Cwd { temperature }
    }
}

impl Loss for Cwd {
    fn name(&self) -> &'static str {
        "cwd"
    }
    fn options(&self) -> serde_json::Value {
        json!({ "temperature": self.temperature })
    }
    fn problems(&self) -> Vec<String> {
        super::temperature::range_problem("the temperature", self.temperature).into_iter().collect()
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        mismatches(student, teacher, Equal::Both)
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let log = |read: &Features| self.log_distribution(&channels(read, mask)?, mask);
        let (student, teacher) = (log(student)?, log(teacher)?);
        let divergence = teacher.f_exp()?.f_mul(&teacher.f_sub(&student)?)?;
        let per_channel = divergence.f_sum_dim_intlist(2, false, None)?;
        let per_example = per_channel.f_mean_dim(1, false, None)?;
        Examples::under(mask)?.term(&per_example)?.times(self.temperature * self.temperature)
    }
}

impl Cwd {
    fn log_distribution(&self, channels: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let scores = channels.f_div_scalar(self.temperature)?;
        let scores = match mask {
            Some(mask) => {
                scores.f_masked_fill(&positions(mask)?.f_unsqueeze(1)?.f_logical_not()?, NO_SCORE)?
            }
            None => scores,
        };
        Ok(scores.f_log_softmax(2, None)?)
    }
}

impl MatchLoss<Hidden, OneLayer> for Cwd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "cwd",
    summary: "divergence of channels as distributions over positions, times T^2",
    source: "Shu et al. 2021, arXiv 2011.13256",
    roles: &["hidden"],
    options: &[temperature(4.0)],
    make: |options| boxed(Cwd::at(options.temperature())),
    ..Entry::EMPTY
}];
