//! TextBrewer's soft targets: compares the student's logits with the teacher's, at a temperature.
//!
//! Formulas of the rows r (examples, or positions whose mask is not 0) and classes c, with temperature T:
//!
//! - `kd_ce`: mean_r( - sum_c softmax(t/T)_c * log_softmax(s/T)_c )
//! - `kd_mse`: mean_{r,c}( (s/T - t/T)^2 )
//!
//! Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015); TextBrewer's
//! `kd_ce_loss` and `kd_mse_loss`. As in TextBrewer `kd_ce` is the cross-entropy: its minimum is the
//! teacher's own entropy and not 0, its gradient is that of the Kullback-Leibler divergence. Neither is
//! multiplied by T squared unless asked. With a [`TemperatureSchedule`] every row has its own temperature
//! instead of T.

use tch::Tensor;

use super::super::Features;
use super::super::catalogue::{Entry, TEXTBREWER, boxed, temperature};
use super::super::logit_shapes::logits_mismatches;
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, softened};
use crate::error::Result;
use crate::role::Logits;
use crate::schedule::TemperatureSchedule;

/// Cross-entropy with the teacher's softened probabilities (TextBrewer's `ce`).
///
/// Logits are `(batch, classes)`, or `(batch, length, classes)` with or without a `(batch, length)` mask;
/// both sides must have the same shape.
///
/// ```
/// use brew_core::loss::{KdCe, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = KdCe::at(2.0).term(&student, &teacher)?.mean()?;
/// // -(softmax(t/2) * log_softmax(s/2)).sum() in PyTorch 2.11
/// assert!((loss.double_value(&[]) - 1.124_820_555).abs() < 1e-6);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KdCe {
    softening: Softening,
}

/// Mean squared difference of the logits divided by the temperature (TextBrewer's `mse`).
///
/// Shapes are those of [`KdCe`].
#[derive(Debug, Clone)]
pub struct KdMse {
    softening: Softening,
}

impl KdCe {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        KdCe { softening: Softening::at(temperature) }
    }
}

softened!(KdCe);

impl KdMse {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        KdMse { softening: Softening::at(temperature).never_squared() }
    }

    /// Gives every row its own temperature, based on this one.
    #[must_use]
    pub fn scheduled(self, schedule: impl TemperatureSchedule) -> Self {
        KdMse { softening: self.softening.scheduled(schedule) }
    }
}

impl PerRow for KdCe {
    fn name(&self) -> &'static str {
        "kd_ce"
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn sums_in_place(&self) -> bool {
        true
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let Softened { student, teacher, squared } = self.softening.divide(&rows.student, &rows.teacher)?;
        let kind = student.kind();
        let products = teacher.f_softmax(-1, kind)?.f_mul(&student.f_log_softmax(-1, kind)?)?;
        self.softening.scale(&products.f_sum_dim_intlist(-1, false, kind)?.f_neg()?, &squared)
    }
}

impl PerRow for KdMse {
    fn name(&self) -> &'static str {
        "kd_mse"
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn sums_in_place(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        logits_mismatches(student, teacher)
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let Softened { student, teacher, .. } = self.softening.divide(&rows.student, &rows.teacher)?;
        let difference = student.f_sub(&teacher)?;
        Ok(difference.f_square()?.f_mean_dim(-1, false, difference.kind())?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for KdCe {}
impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for KdMse {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "kd_ce",
        aliases: &["ce"],
        summary: "cross-entropy with the teacher's softened probabilities",
        source: "Hinton, Vinyals and Dean 2015, arXiv 1503.02531",
        roles: &["logits"],
        options: &[temperature(4.0), SQUARED],
        scheduled: true,
        make: |options| boxed(KdCe::at(options.temperature()).softened(options)),
        ..Entry::EMPTY
    },
    Entry {
        name: "kd_mse",
        aliases: &["mse"],
        summary: "squared difference of the logits divided by the temperature",
        source: TEXTBREWER,
        roles: &["logits"],
        options: &[temperature(4.0)],
        scheduled: true,
        make: |options| boxed(KdMse { softening: KdMse::at(options.temperature()).softening.with(options) }),
        ..Entry::EMPTY
    },
];
