//! Normalised knowledge distillation: the label weighted by the teacher's confidence, the other classes
//! normalised.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logit_shapes::logits_mismatches;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Features, temperature::Softened};
use super::dkd::weight_problems;
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use super::target::{Target, classes_problem};
use crate::error::Result;
use crate::role::{Labels, Logits};

/// `nkd`: mean_r( - p_y log q_y - gamma sum_{c != y} p'_c log q'_c ), where p_y and q_y, the
/// probabilities of the label, are taken at T = 1, and p', q', those among the other classes, at T.
///
/// Both parts are cross-entropies: the minimum is not 0. No gradient passes to the teacher. The paper
/// multiplies the second part by T squared: `.times_temperature_squared()`, which does not affect the first;
/// its gamma is 1.5. Labels are `(batch,)` or `(batch, length)`; rows with a negative label count neither in
/// the value nor in the denominator. Shapes, mask and reduction: see [`logits`](crate::loss::logits).
///
/// Source: Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
/// Approach with Normalized Loss and Customized Soft Labels" (2023, arXiv:2303.13005).
///
/// ```
/// use brew_core::loss::{Loss, Nkd, Features};
/// use brew_core::role::Labels;
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let student = student.with::<Labels>(Tensor::from_slice(&[0_i64]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// assert!(Nkd::at(1.0).gamma(1.5).term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Nkd {
    softening: Softening,
    gamma: f64,
}

impl Nkd {
    /// With the others at a temperature in (0, inf), and gamma 1.5.
    pub fn at(temperature: f64) -> Self {
        Nkd { softening: Softening::at(temperature), gamma: 1.5 }
    }

    /// The weight of the others, 0 or above; default 1.5.
    #[must_use]
    pub fn gamma(self, gamma: f64) -> Self {
        Nkd { gamma, ..self }
    }
}

softened!(Nkd);

impl PerRow for Nkd {
    fn name(&self) -> &'static str {
        "nkd"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("gamma".to_owned(), json!(self.gamma))])
    }

    fn problems(&self) -> Vec<String> {
        weight_problems(&[("gamma", self.gamma)])
    }

    fn softening(&self) -> Option<&Softening> {
        Some(&self.softening)
    }

    fn reads_labels(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = logits_mismatches(student, teacher);
        problems.extend(classes_problem(&student.shape()));
        problems
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let labels = rows.labels()?;
        let (of_student, of_teacher) =
            (Target::split(&rows.student, labels)?, Target::split(&rows.teacher, labels)?);
        let target = of_teacher.label.f_exp()?.f_mul(&of_student.label)?;
        let Softened { student, teacher, squared } = self.softening.divide(&rows.student, &rows.teacher)?;
        let (student, teacher) = (Target::split(&student, labels)?, Target::split(&teacher, labels)?);
        let others = teacher.probabilities_among_others(labels)?.f_mul(&student.among_others)?;
        let others = others.f_sum_dim_intlist(-1, false, others.kind())?.f_mul_scalar(self.gamma)?;
        Ok(target.f_add(&self.softening.scale(&others, &squared)?)?.f_neg()?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for Nkd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "nkd",
    summary: "cross-entropy of the label by the teacher's sureness, and of the others normalised",
    source: "Yang et al. 2023 (NKD), arXiv 2303.13005",
    roles: &["logits"],
    options: &[
        number("gamma", Range::NotNegative, 1.5, "the weight of the others"),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    scheduled: true,
    make: |options| boxed(Nkd::at(options.temperature()).gamma(options.number("gamma")).softened(options)),
    ..Entry::EMPTY
}];
