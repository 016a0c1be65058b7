//! Distillation of regression models, which predict numbers instead of classes.

use tch::Tensor;

use super::super::Features;
use super::super::catalogue::{Entry, boxed};
use super::super::uses::{Gives, SoftTargets};
use super::per_row::PerRow;
use super::rows::Rows;
use crate::error::Result;
use crate::role::Logits;
use crate::words::shape;

/// `regression_mse`: mean_{r,k}( (s_k - t_k)^2 ) over the k numbers that both sides predict per row.
///
/// Outputs, in the role of logits, are `(batch,)`, `(batch, numbers)`, or `(batch, length, numbers)` with or
/// without a `(batch, length)` mask. There is no temperature. The mean is also over the numbers of a row,
/// which are not classes. Source: Ba and Caruana, "Do Deep Nets Really Need to be Deep?" (2014,
/// arXiv:1312.6184), section 2.2.
///
/// ```
/// use brew_core::loss::{Loss, Features, RegressionMse};
/// use brew_core::tch::Tensor;
///
/// let (student, teacher) = (Features::one(Tensor::from_slice(&[1.0, 2.0])), Features::one(Tensor::from_slice(&[3.0, 2.0])));
/// assert_eq!(RegressionMse.term(&student, &teacher)?.mean()?.double_value(&[]), 2.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegressionMse;

impl PerRow for RegressionMse {
    fn name(&self) -> &'static str {
        "regression_mse"
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        if matches!(of_student.len(), 1..=3) && of_student == of_teacher {
            return Vec::new();
        }
        vec![format!(
            "the student predicts {}, the teacher {}: both must be (batch,), (batch, numbers) or (batch, length, numbers), and equal",
            shape(&of_student),
            shape(&of_teacher)
        )]
    }

    fn per_row(&self, rows: &Rows) -> Result<Tensor> {
        let squared = rows.student.f_sub(&rows.teacher)?.f_square()?;
        Ok(squared.f_mean_dim(-1, false, squared.kind())?)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for RegressionMse {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "regression_mse",
    summary: "squared difference of the numbers that both sides predict",
    source: "Ba and Caruana 2014, arXiv 1312.6184",
    roles: &["logits"],
    make: |_| boxed(RegressionMse),
    ..Entry::EMPTY
}];
