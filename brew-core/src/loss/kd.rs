//! Soft targets: the student's logits against the teacher's, at a temperature.
//!
//! Formulas of the rows r (examples, or positions whose mask is 1) and classes c, with temperature T:
//!
//! - `kd_ce`: mean_r( - sum_c softmax(t/T)_c * log_softmax(s/T)_c )
//! - `kd_mse`: mean_{r,c}( (s/T - t/T)^2 )
//!
//! Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015);
//! TextBrewer's `kd_ce_loss` and `kd_mse_loss`. As in TextBrewer `kd_ce` is the cross-entropy: its
//! minimum is the teacher's own entropy and not 0, its gradient is that of the Kullback-Leibler
//! divergence. Neither is multiplied by T squared unless asked. With a
//! [`TemperatureSchedule`] every row has a temperature of its own in T's place.

use std::sync::Arc;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::one_logit::softmax_mismatches;
use super::temperature::{Softened, Temperature};
use super::{Features, Loss, Term, states};
use crate::error::{Error, Result};
use crate::schedule::TemperatureSchedule;
use crate::words::shape;

/// Cross-entropy with the teacher's softened probabilities (TextBrewer's `ce`).
///
/// Logits are `(batch, classes)`, or `(batch, length, classes)` with a `(batch, length)` mask or
/// without; both sides have one shape.
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
    temperature: Temperature,
    temperature_squared: bool,
}

/// Mean squared difference of the logits divided by the temperature (TextBrewer's `mse`).
///
/// Shapes are those of [`KdCe`].
#[derive(Debug, Clone)]
pub struct KdMse {
    temperature: Temperature,
}

impl KdCe {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        KdCe { temperature: Temperature::at(temperature), temperature_squared: false }
    }

    /// Gives every row a temperature of its own, around this one:
    /// `KdCe::at(4.0).scheduled(Flsw::new(1.0, 2.0))`.
    #[must_use]
    pub fn scheduled(self, schedule: impl TemperatureSchedule) -> Self {
        KdCe { temperature: self.temperature.scheduled(Arc::new(schedule)), ..self }
    }

    /// Multiplies the loss by T squared, so that its gradient keeps its size whatever the temperature
    /// (Hinton, section 2.1). TextBrewer does not.
    #[must_use]
    pub fn times_temperature_squared(self) -> Self {
        KdCe { temperature_squared: true, ..self }
    }
}

impl KdMse {
    /// At a temperature in (0, inf).
    pub fn at(temperature: f64) -> Self {
        KdMse { temperature: Temperature::at(temperature) }
    }

    /// Gives every row a temperature of its own, around this one.
    #[must_use]
    pub fn scheduled(self, schedule: impl TemperatureSchedule) -> Self {
        KdMse { temperature: self.temperature.scheduled(Arc::new(schedule)) }
    }
}

impl Loss for KdCe {
    fn name(&self) -> &'static str {
        "kd_ce"
    }

    fn options(&self) -> serde_json::Value {
        let mut options = self.temperature.options();
        options.insert("temperature_squared".to_owned(), json!(self.temperature_squared));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        self.temperature.problems()
    }

    fn temperature(&self) -> Option<f64> {
        self.temperature.fixed()
    }

    fn reads_whole_batch(&self) -> bool {
        self.temperature.is_scheduled()
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        softmax_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let Softened { student, teacher, squared } =
            self.temperature.divide(&counted(student, mask)?, &counted(teacher, mask)?, mask)?;
        let kind = student.kind();
        let per_row = (teacher.f_softmax(-1, kind)?.f_mul(&student.f_log_softmax(-1, kind)?)?)
            .f_sum_dim_intlist(-1, false, kind)?
            .f_neg()?;
        averaged(&if self.temperature_squared { per_row.f_mul(&squared)? } else { per_row }, mask)
    }
}

impl Loss for KdMse {
    fn name(&self) -> &'static str {
        "kd_mse"
    }

    fn options(&self) -> serde_json::Value {
        Value::Object(self.temperature.options())
    }

    fn problems(&self) -> Vec<String> {
        self.temperature.problems()
    }

    fn temperature(&self) -> Option<f64> {
        self.temperature.fixed()
    }

    fn reads_whole_batch(&self) -> bool {
        self.temperature.is_scheduled()
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        logits_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let Softened { student, teacher, .. } =
            self.temperature.divide(&counted(student, mask)?, &counted(teacher, mask)?, mask)?;
        let difference = student.f_sub(&teacher)?;
        let per_row = difference.f_square()?.f_mean_dim(-1, false, difference.kind())?;
        averaged(&per_row, mask)
    }
}

/// The logits with 0 where they are masked, so that what a model leaves there reaches no gradient.
fn counted(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let logits = read.first()?;
    if logits.dim() == 3 { states::kept(&logits, mask) } else { Ok(logits) }
}

/// One value a row, or one a position.
fn averaged(per_row: &Tensor, mask: Option<&Tensor>) -> Result<Term> {
    if per_row.dim() == 1 { Term::rows(per_row) } else { Term::positions(per_row, mask) }
}

pub(super) fn logits_mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    if of_student != of_teacher {
        return vec![format!(
            "the student's logits are {}, the teacher's {}: both must have the same batch, length and classes",
            shape(&of_student),
            shape(&of_teacher)
        )];
    }
    if !matches!(of_student.len(), 2 | 3) {
        return vec![format!(
            "the logits are {}; they must be (batch, classes) or (batch, length, classes)",
            shape(&of_student)
        )];
    }
    match &student.mask {
        Some(mask) if of_student.len() == 3 && mask.size() != of_student[..2] => vec![format!(
            "logits_mask is {}; it must be (batch, length), here {}",
            shape(&mask.size()),
            shape(&of_student[..2])
        )],
        _ => Vec::new(),
    }
}

/// Refuses a mask of other values than 0 and 1: a model would weigh its positions by them.
pub(crate) fn zeros_and_ones(whose: &str, mask: &Tensor) -> Result<()> {
    if mask.numel() == 0 || is_binary(mask)? {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{whose} has values other than 0 and 1: a mask says of each position whether it counts"
    )))
}

/// Whether a mask holds only 0 and 1.
fn is_binary(mask: &Tensor) -> Result<bool> {
    let mask = mask.f_to_kind(Kind::Double)?;
    let off = mask.f_mul(&mask.f_sub_scalar(1.0)?)?.f_abs()?.f_max()?;
    Ok(off.f_double_value(&[])? == 0.0)
}
