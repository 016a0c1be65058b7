//! Decoupled knowledge distillation: the label's probability and the distribution over the other classes,
//! each with its own weight.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logit_shapes::logits_mismatches;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Features, temperature::Softened};
use super::per_row::PerRow;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use super::target::{Target, classes_problem};
use crate::error::Result;
use crate::role::{Labels, Logits};

/// `dkd`: mean_r( alpha KL(b_t, b_s) + beta KL(p', q') ), where b = (q_y, 1 - q_y) is the probability
/// of the label y and of all others together, and p', q' are the probabilities among the others; all at
/// T, on both sides.
///
/// With alpha = 1 and beta = 1 - p_y it would be [`Kl`](crate::loss::Kl). The paper multiplies by T squared:
/// `.times_temperature_squared()`. It uses alpha 1 and, on CIFAR at T = 4, beta 8 (2 or 6 for some pairs); on
/// ImageNet beta 0.5 at T = 1; and grows the weight over the first 20 epochs
/// ([`Weight`](crate::schedule::Weight)). Labels `(batch,)` or `(batch, length)`; rows with a negative label
/// count neither in the value nor in the denominator. Shapes, mask and reduction: see
/// [`logits`](crate::loss::logits).
///
/// Source: Zhao et al., "Decoupled Knowledge Distillation" (2022, arXiv:2203.08679). MMRazor's `decoupled_kd`
/// sums over the batch regardless of its `reduction`.
///
/// ```
/// use brew_core::loss::{Dkd, Loss, Features};
/// use brew_core::role::Labels;
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let student = student.with::<Labels>(Tensor::from_slice(&[0_i64]));
/// let teacher = Features::one(Tensor::from_slice(&[2.0, 1.0, 0.0]).view([1, 3]));
/// let loss = Dkd::at(4.0).alpha(1.0).beta(8.0).times_temperature_squared();
/// assert!(loss.term(&student, &teacher)?.mean()?.double_value(&[]) > 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dkd {
    softening: Softening,
    alpha: f64,
    beta: f64,
}

impl Dkd {
    /// At a temperature in (0, inf), with alpha 1 and beta 8.
    pub fn at(temperature: f64) -> Self {
        Dkd { softening: Softening::at(temperature), alpha: 1.0, beta: 8.0 }
    }

    /// The weight of the label's probability, 0 or above; default 1.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Dkd { alpha, ..self }
    }

    /// The weight of the distribution over the others, 0 or above; default 8.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Dkd { beta, ..self }
    }
}

softened!(Dkd);

impl PerRow for Dkd {
    fn name(&self) -> &'static str {
        "dkd"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("alpha".to_owned(), json!(self.alpha)), ("beta".to_owned(), json!(self.beta))])
    }

    fn problems(&self) -> Vec<String> {
        weight_problems(&[("alpha", self.alpha), ("beta", self.beta)])
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
        let Softened { student, teacher, squared } = self.softening.divide(&rows.student, &rows.teacher)?;
        let labels = rows.labels()?;
        let (student, teacher) = (Target::split(&student, labels)?, Target::split(&teacher, labels)?);
        let part = |of_teacher: &Tensor, of_student: &Tensor| -> Result<Tensor> {
            Ok(of_teacher.f_exp()?.f_mul(&of_teacher.f_sub(of_student)?)?)
        };
        let target = part(&teacher.label, &student.label)?.f_add(&part(&teacher.others, &student.others)?)?;
        let others = teacher.probabilities_among_others(labels)?;
        let others = others.f_mul(&teacher.among_others.f_sub(&student.among_others)?)?;
        let others = others.f_sum_dim_intlist(-1, false, others.kind())?;
        let sum = target.f_mul_scalar(self.alpha)?.f_add(&others.f_mul_scalar(self.beta)?)?;
        self.softening.scale(&sum, &squared)
    }
}

/// The problems of a loss's own weights: negative or not finite.
pub(in crate::loss) fn weight_problems(weights: &[(&str, f64)]) -> Vec<String> {
    (weights.iter().filter(|(_, weight)| !(weight.is_finite() && *weight >= 0.0)))
        .map(|(name, weight)| format!("{name} is {weight}; it must be finite, and 0 or above"))
        .collect()
}

impl<T: Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for Dkd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "dkd",
    summary: "divergence of the label's probability, and of the others among themselves",
    source: "Zhao et al. 2022 (DKD), arXiv 2203.08679",
    roles: &["logits"],
    options: &[
        number("alpha", Range::NotNegative, 1.0, "the weight of the label's probability"),
        number("beta", Range::NotNegative, 8.0, "the weight of the others among themselves"),
        temperature(4.0),
        TEACHER,
        SQUARED,
    ],
    scheduled: true,
    make: |options| {
        let loss = Dkd::at(options.temperature()).alpha(options.number("alpha")).beta(options.number("beta"));
        boxed(loss.softened(options))
    },
    ..Entry::EMPTY
}];
