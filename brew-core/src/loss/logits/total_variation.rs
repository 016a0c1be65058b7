//! Total variation distance.

use tch::Tensor;

use super::super::catalogue::{Entry, Options, boxed, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::divergence::Divergence;
use super::named::NamedDivergence;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `total_variation`: mean_r( 1/2 sum_c |p_c - q_c| ), in [0, 1], with p = softmax(t/T),
/// q = softmax(s/T).
///
/// Its gradient is bounded, and 0 for classes on which both sides agree. Shapes, mask, temperature, T squared
/// and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Wen et al., "f-Divergence Minimization for Sequence-Level Knowledge Distillation" (2023,
/// arXiv:2307.15190). DistillKit's omits the factor of one half and sums over rows.
///
/// ```
/// use brew_core::loss::{Loss, Features, TotalVariation};
/// use brew_core::tch::Tensor;
///
/// let far = |class: i64| Features::one(Tensor::zeros([1, 3], (brew_core::tch::Kind::Float, brew_core::tch::Device::Cpu)).index_fill(1, &Tensor::from_slice(&[class]), 1e4));
/// let loss = TotalVariation::at(1.0).term(&far(0), &far(1))?.mean()?;
/// assert_eq!(loss.double_value(&[]), 1.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TotalVariation {
    softening: Softening,
}

impl TotalVariation {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        TotalVariation { softening: Softening::at(temperature) }
    }
}

softened!(TotalVariation);

impl Divergence for TotalVariation {
    fn name(&self) -> &'static str {
        "total_variation"
    }

    fn softening(&self) -> &Softening {
        &self.softening
    }

    fn between(&self, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let difference = teacher.f_exp()?.f_sub(&student.f_exp()?)?.f_abs()?;
        Ok(difference.f_sum_dim_intlist(-1, false, difference.kind())?.f_mul_scalar(0.5)?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for TotalVariation {}

fn made(options: &Options) -> TotalVariation {
    TotalVariation::at(options.temperature()).softened(options)
}

/// For losses that are made of a divergence.
pub(super) const NAMED: NamedDivergence =
    NamedDivergence { name: "total_variation", make: |options| Box::new(made(options)) };

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "total_variation",
    summary: "half the sum of the probabilities' differences",
    source: "Wen et al. 2023 (f-distill), arXiv 2307.15190",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(made(options)),
    ..Entry::EMPTY
}];
