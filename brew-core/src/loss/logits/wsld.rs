//! Weighted soft labels: soft targets count less for rows that the student knows better than the teacher.

use tch::Tensor;

use super::super::catalogue::{Entry, boxed, temperature};
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::log_space::{expected, log_softmax};
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::{Labels, Logits};

/// `wsld`: mean_r( (1 - exp(-H_s / (H_t + 1e-7))) x - sum_c p_c log q_c ), where H_s and H_t are the
/// cross-entropies of student and teacher with the label at T = 1, and p and q are taken at T.
///
/// The weight has no gradient. The second factor is a cross-entropy: its minimum is not 0. The paper
/// multiplies by T squared, `.times_temperature_squared()`, and uses T = 2. Labels are `(batch,)` or `(batch,
/// length)`; rows with a negative label count neither in the value nor in the denominator. Shapes, mask and
/// reduction: see [`logits`](crate::loss::logits).
///
/// Source: Zhou et al., "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff
/// Perspective" (2021, arXiv:2102.00650), with the epsilon of MMRazor's code.
///
/// ```
/// use brew_core::loss::{Loss, Features, Wsld};
/// use brew_core::role::Labels;
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let student = student.with::<Labels>(Tensor::from_slice(&[0_i64]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = Wsld::at(2.0).times_temperature_squared();
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Wsld {
    softening: Softening,
}

impl Wsld {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        Wsld { softening: Softening::at(temperature) }
    }
}

softened!(Wsld);

impl PerRow for Wsld {
    fn name(&self) -> &'static str {
        "wsld"
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn reads_labels(&self) -> bool {
        true
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let column = rows.labels()?.f_unsqueeze(-1)?;
        let at_label = |logits: &Tensor| -> Result<Tensor> {
            let log = log_softmax(&logits.f_detach()?)?;
            Ok(log.f_gather(-1, &column, false)?.f_squeeze_dim(-1)?.f_neg()?)
        };
        let ratio = at_label(&rows.student)?.f_div(&at_label(&rows.teacher)?.f_add_scalar(1e-7)?)?;
        let weight = ratio.f_neg()?.f_expm1()?.f_neg()?;
        let Softened { student, teacher, squared } = self.softening.soften(&rows.student, &rows.teacher)?;
        let soft = expected(&teacher, &student)?.f_neg()?;
        self.softening.scale(&soft.f_mul(&weight)?, &squared)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for Wsld {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "wsld",
    summary: "soft targets weighted less where the student knows the label better than the teacher",
    source: "Zhou et al. 2021 (WSLD), arXiv 2102.00650",
    roles: &["logits"],
    options: &[temperature(2.0), TEACHER, SQUARED],
    scheduled: true,
    make: |options| boxed(Wsld::at(options.temperature()).softened(options)),
    ..Entry::EMPTY
}];
