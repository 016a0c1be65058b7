//! DIST: correlation of probabilities within each row, and within each class over the batch.

use serde_json::{Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, Range, boxed, number, temperature};
use super::super::logit_shapes::softmax_mismatches;
use super::super::temperature::Softened;
use super::super::uses::{Gives, SoftTargets};
use super::super::{Average, Features, Loss, Term};
use super::dkd::weight_problems;
use super::rows::Rows;
use super::softening::{SQUARED, Softening, TEACHER, softened};
use crate::error::Result;
use crate::role::Logits;

/// `dist`: beta mean_r( 1 - rho(q_r, p_r) ) + gamma mean_c( 1 - rho(q_c, p_c) ), where rho is Pearson's
/// correlation, q_r and p_r are the probabilities of a row over the classes and q_c and p_c those of a
/// class over all rows that count, at T; rho(a, b) = <a', b'> / (|a'| |b'| + 1e-8) of the centred a', b'.
///
/// It asks the student to match the teacher's order and proportions, not its values. The second part reads
/// the whole batch: with accumulated batches or several ranks it is computed for each batch separately, and a
/// batch of one row has no correlation: 1 for each class, without gradient. The paper multiplies by T squared
/// if T is not 1: `.times_temperature_squared()`; its beta, gamma and T are 1. Shapes, mask and reduction:
/// see [`logits`](crate::loss::logits).
///
/// Source: Huang et al., "Knowledge Distillation from A Stronger Teacher" (2022, arXiv:2205.10536).
/// torchdistill's `DISTPlusLoss` adds the correlation instead of 1 minus it.
///
/// ```
/// use brew_core::loss::{Dist, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let logits = Tensor::from_slice(&[1.0, 2.0, 0.5, 0.0, 3.0, 1.0]).view([2, 3]);
/// let (student, teacher) = (Features::one(logits.shallow_clone()), Features::one(logits));
/// assert!(Dist::at(1.0).term(&student, &teacher)?.mean()?.double_value(&[]) < 1e-4);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dist {
    softening: Softening,
    beta: f64,
    gamma: f64,
}

impl Dist {
    /// At a temperature in (0, inf), with beta and gamma 1.
    pub fn at(temperature: f64) -> Self {
        Dist { softening: Softening::at(temperature), beta: 1.0, gamma: 1.0 }
    }

    /// The weight of the correlation within rows, 0 or above.
    #[must_use]
    pub fn beta(self, beta: f64) -> Self {
        Dist { beta, ..self }
    }

    /// The weight of the correlation within classes, 0 or above.
    #[must_use]
    pub fn gamma(self, gamma: f64) -> Self {
        Dist { gamma, ..self }
    }
}

softened!(Dist);

impl Loss for Dist {
    fn name(&self) -> &'static str {
        "dist"
    }

    fn options(&self) -> Value {
        let mut options = self.softening.options();
        options.insert("beta".to_owned(), json!(self.beta));
        options.insert("gamma".to_owned(), json!(self.gamma));
        Value::Object(options)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.softening.problems();
        problems.extend(weight_problems(&[("beta", self.beta), ("gamma", self.gamma)]));
        problems
    }

    fn temperature(&self) -> Option<f64> {
        self.softening.of_teacher()
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    fn reads_whole_batch(&self) -> bool {
        true
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        softmax_mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let rows = Rows::of(student, teacher, false)?;
        if rows.count() == 0 {
            return rows.term(&rows.student.f_sum_dim_intlist(-1, false, rows.student.kind())?);
        }
        let Softened { student, teacher, squared } = self.softening.soften(&rows.student, &rows.teacher)?;
        let (student, teacher) = (student.f_exp()?, teacher.f_exp()?);
        let within_rows = distance(&student, &teacher, 1)?.f_mul_scalar(self.beta)?;
        // One number for the whole batch, which is then added to each row.
        let within_classes = distance(&student, &teacher, 0)?.f_mean(None)?.f_mul_scalar(self.gamma)?;
        rows.term(&self.softening.scale(&within_rows.f_add(&within_classes)?, &squared)?)
    }
}

/// 1 - rho along a dimension.
fn distance(student: &Tensor, teacher: &Tensor, dimension: i64) -> Result<Tensor> {
    let centred =
        |values: &Tensor| -> Result<Tensor> { Ok(values.f_sub(&values.f_mean_dim(dimension, true, None)?)?) };
    let (student, teacher) = (centred(student)?, centred(teacher)?);
    // The gradient of this norm is 0 at 0; that of the square root of a sum of squares would be NaN.
    let length = |values: &Tensor| values.f_norm_scalaropt_dim(2.0, [dimension].as_slice(), false);
    let lengths = length(&student)?.f_mul(&length(&teacher)?)?.f_add_scalar(1e-8)?;
    let product = student.f_mul(&teacher)?.f_sum_dim_intlist(dimension, false, student.kind())?;
    Ok(product.f_div(&lengths)?.f_neg()?.f_add_scalar(1.0)?)
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for Dist {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "dist",
    summary: "1 - correlation of probabilities within rows, and within classes over the batch",
    source: "Huang et al. 2022 (DIST), arXiv 2205.10536",
    roles: &["logits"],
    options: &[
        number("beta", Range::NotNegative, 1.0, "the weight of the correlation within rows"),
        number("gamma", Range::NotNegative, 1.0, "the weight of the correlation within classes"),
        temperature(1.0),
        TEACHER,
        SQUARED,
    ],
    scheduled: true,
    make: |options| {
        let loss =
            Dist::at(options.temperature()).beta(options.number("beta")).gamma(options.number("gamma"));
        boxed(loss.softened(options))
    },
    ..Entry::EMPTY
}];
