//! Soft targets for models with one logit, a yes or no.

use tch::Tensor;

use super::super::Features;
use super::super::catalogue::{Entry, boxed, temperature};
use super::super::uses::{Gives, SoftTargets};
use super::multi_label::of_yes_and_no;
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;
use crate::words::shape;

/// `binary_kl`: mean_r( KL(B(sigmoid(t/T)), B(sigmoid(s/T))) ) for one logit per row, B being the Bernoulli
/// distribution.
///
/// Logits are `(batch,)`, `(batch, 1)`, or `(batch, length, 1)` with or without a `(batch, length)` mask. It
/// is [`Kl`](crate::loss::Kl) over the two logits (0, z). Mask, temperature, T squared and reduction: see
/// [`logits`](crate::loss::logits). Source: Hinton, Vinyals and Dean (2015, arXiv:1503.02531).
///
/// ```
/// use brew_core::loss::{BinaryKl, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let (student, teacher) = (Features::one(Tensor::from_slice(&[0.0])), Features::one(Tensor::from_slice(&[1e4])));
/// let loss = BinaryKl::at(1.0).term(&student, &teacher)?.mean()?;
/// assert!((loss.double_value(&[]) - 2.0_f64.ln()).abs() < 1e-9);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BinaryKl {
    softening: Softening,
}

impl BinaryKl {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        BinaryKl { softening: Softening::at(temperature) }
    }
}

softened!(BinaryKl);

impl PerRow for BinaryKl {
    fn name(&self) -> &'static str {
        "binary_kl"
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let one = matches!(of_student.as_slice(), [_] | [_, 1] | [_, _, 1]);
        if one && of_student == of_teacher {
            return Vec::new();
        }
        vec![format!(
            "the student's logits are {}, the teacher's {}: both must be one logit per row, (batch,), (batch, 1) or (batch, length, 1); for several classes with a yes or no each use `MultiLabelKl`",
            shape(&of_student),
            shape(&of_teacher)
        )]
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        of_yes_and_no(&self.softening, rows)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for BinaryKl {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "binary_kl",
    summary: "divergence of one yes or no a row",
    source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
    roles: &["logits"],
    options: &[temperature(1.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(BinaryKl::at(options.temperature()).softened(options)),
    ..Entry::EMPTY
}];
