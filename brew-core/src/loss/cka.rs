//! Linear centred kernel alignment: whether two layers encode the same, up to rotation and scale.
//!
//! With X and Y the features of the two sides, one row per example or position, each column centred:
//!
//! - 1 - | X^T Y |_F^2 / ( | X^T X |_F | Y^T Y |_F )
//!
//! Hidden states have one row per position whose mask is not 0. The loss reads the whole batch, lies in [0, 1],
//! and is 0 if a side does not vary; the sides may have different widths. Source: Kornblith et al.,
//! "Similarity of Neural Network Representations Revisited" (2019).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::examples::Examples;
use super::term::{positions, wide};
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Term, states};
use crate::error::Result;
use crate::role::{Embedding, Hidden};
use crate::words::shape;

/// One minus the linear alignment of two layers.
///
/// Features are `(batch, width)`, or `(batch, length, width)` with a mask or without.
///
/// ```
/// use brew_core::loss::{Cka, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let states = Tensor::from_slice2(&[[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]]);
/// let turned = states.matmul(&Tensor::from_slice2(&[[0.0, -5.0], [5.0, 0.0]]));
/// let loss = Cka.term(&Features::one(states), &Features::one(turned))?.mean()?;
/// assert!(loss.double_value(&[]).abs() < 1e-12);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cka;

impl Loss for Cka {
    fn name(&self) -> &'static str {
        "cka"
    }
    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }
    fn reads_whole_batch(&self) -> bool {
        true
    }
    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let rank = of_student.len();
        if rank != of_teacher.len()
            || !matches!(rank, 2 | 3)
            || of_student[..rank - 1] != of_teacher[..rank - 1]
        {
            return vec![format!(
                "the student's features are {}, the teacher's {}; both must be (batch, width), or (batch, length, width) of the same rows at the same length",
                shape(&of_student),
                shape(&of_teacher)
            )];
        }
        states::mask_problem("student", student).into_iter().collect()
    }
    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let rows = student.shape().first().copied().unwrap_or_default();
        let mask = student.mask.as_ref();
        let examples = Examples::under(mask.filter(|_| student.shape().len() == 3))?;
        let (student, teacher) = (centred(&student.first()?, mask)?, centred(&teacher.first()?, mask)?);
        examples.batch_term(&unalike(&student, &teacher)?, rows)
    }
}

/// The alignment of two layers as a number in [0, 1], both `(batch, length, width)`.
pub(crate) fn aligned(student: &Tensor, teacher: &Tensor, mask: Option<&Tensor>) -> Result<f64> {
    let (student, teacher) = (centred(&wide(student)?, mask)?, centred(&wide(teacher)?, mask)?);
    Ok(1.0 - unalike(&student, &teacher)?.f_double_value(&[])?)
}

/// One row per example or position that counts, 0 for the others, each column with mean 0.
fn centred(features: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    if features.dim() == 2 {
        return Ok(features.f_sub(&features.f_mean_dim(0, true, None)?)?);
    }
    let rows = states::kept(features, mask)?.f_flatten(0, 1)?;
    let Some(mask) = mask else { return Ok(rows.f_sub(&rows.f_mean_dim(0, true, None)?)?) };
    let counts = positions(mask)?.f_flatten(0, 1)?.f_unsqueeze(1)?;
    let count = counts.f_sum(rows.kind())?.f_clamp_min(1.0)?;
    let mean = rows.f_sum_dim_intlist(0, true, None)?.f_div(&count)?;
    Ok(rows.f_sub(&mean)?.f_masked_fill(&counts.f_logical_not()?, 0.0)?)
}

/// 1 - CKA of two centred sides; 0 if one of them is 0 everywhere.
fn unalike(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    // The scale of a side affects neither value nor gradient; fourth powers of large or small numbers would
    // overflow or underflow float32.
    let scaled = |side: &Tensor| -> Result<Tensor> {
        let largest = side.f_detach()?.f_abs()?.f_max()?;
        Ok(side.f_div(&largest.f_masked_fill(&largest.f_eq(0.0)?, 1.0)?)?)
    };
    let (student, teacher) = (&scaled(student)?, &scaled(teacher)?);
    let product = |left: &Tensor, right: &Tensor| -> Result<Tensor> {
        let squares = left.f_transpose(0, 1)?.f_matmul(right)?.f_square()?;
        Ok(squares.f_sum(squares.kind())?)
    };
    let sizes = product(student, student)?.f_mul(&product(teacher, teacher)?)?;
    let still = sizes.f_eq(0.0)?;
    let alike = product(student, teacher)?.f_div(&sizes.f_masked_fill(&still, 1.0)?.f_sqrt()?)?;
    Ok(alike.f_neg()?.f_add_scalar(1.0)?.f_masked_fill(&still, 0.0)?)
}

impl MatchLoss<Hidden, OneLayer> for Cka {}
impl MatchLoss<Embedding, OneLayer> for Cka {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "cka",
    summary: "1 - linear centred kernel alignment, one row an example or a position",
    source: "Kornblith et al. 2019, arXiv 1905.00414",
    roles: &["hidden", "embedding"],
    make: |_| boxed(Cka),
    ..Entry::EMPTY
}];
