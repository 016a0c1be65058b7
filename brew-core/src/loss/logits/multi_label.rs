//! Soft targets for multi-label models, where each class is its own yes or no.

use tch::Tensor;

use super::super::Features;
use super::super::catalogue::{Entry, boxed, temperature};
use super::super::logit_shapes::logits_mismatches;
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `multi_label_kl`: mean_r( sum_c KL(B(sigmoid(t_c/T)), B(sigmoid(s_c/T))) ), B being the Bernoulli
/// distribution of one class.
///
/// For models with one sigmoid per class. Classes are summed, as in the paper; binary cross-entropy with soft
/// targets has the same gradient, but PyTorch's mean of it also divides by the number of classes. Shapes,
/// mask, temperature, T squared and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Yang et al., "Multi-Label Knowledge Distillation" (2023, arXiv:2308.06453), its logits part.
///
/// ```
/// use brew_core::loss::{Loss, MultiLabelKl, Features};
/// use brew_core::tch::Tensor;
///
/// let logits = |value: f64| Features::one(Tensor::from_slice(&[value, -value]).view([1, 2]));
/// let loss = MultiLabelKl::at(1.0).term(&logits(0.0), &logits(1e4))?.mean()?;
/// assert!((loss.double_value(&[]) - 2.0 * 2.0_f64.ln()).abs() < 1e-9);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MultiLabelKl {
    softening: Softening,
}

impl MultiLabelKl {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        MultiLabelKl { softening: Softening::at(temperature) }
    }
}

softened!(MultiLabelKl);

impl PerRow for MultiLabelKl {
    fn name(&self) -> &'static str {
        "multi_label_kl"
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        logits_mismatches(student, teacher)
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        of_yes_and_no(&self.softening, rows)
    }
}

/// The Bernoulli divergence of each logit, summed over a row.
pub(super) fn of_yes_and_no(softening: &Softening, rows: &Rows) -> Result<Tensor> {
    let Softened { student, teacher, squared } = softening.divide(&rows.student, &rows.teacher)?;
    let part = |student: &Tensor, teacher: &Tensor| -> Result<Tensor> {
        Ok(teacher.f_sigmoid()?.f_mul(&teacher.f_log_sigmoid()?.f_sub(&student.f_log_sigmoid()?)?)?)
    };
    let divergence = part(&student, &teacher)?.f_add(&part(&student.f_neg()?, &teacher.f_neg()?)?)?;
    softening.scale(&divergence.f_sum_dim_intlist(-1, false, divergence.kind())?, &squared)
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for MultiLabelKl {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "multi_label_kl",
    summary: "divergence of a yes or no a class, summed over classes",
    source: "Yang et al. 2023 (MLD), arXiv 2308.06453",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(MultiLabelKl::at(options.temperature()).softened(options)),
    ..Entry::EMPTY
}];
