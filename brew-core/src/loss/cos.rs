//! Cosine distance of hidden states (TextBrewer's `cos`, `cos_loss`).
//!
//! With hidden states s and t of one position, vectors of the width, and the mask m of
//! `(batch, length)`:
//!
//! - cos = s . t / sqrt( (|s|^2 + 1e-12) (|t|^2 + 1e-12) )
//! - the loss is the mean of 1 - cos over the positions whose mask is not 0; without a mask over all positions
//!
//! The small number is that of PyTorch's `cosine_embedding_loss`: a zero vector is orthogonal to everything,
//! and its loss is 1. Source: Sanh et al., "DistilBERT" (2019).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::uses::{MatchLoss, OneLayer};
use super::{Features, Loss, Term, states};
use crate::error::Result;
use crate::role::{Embedding, Hidden};

/// What PyTorch adds to each squared length.
const EPSILON: f64 = 1e-12;

/// One minus the cosine between two layers' hidden states.
///
/// Features are `(batch, length, width)`, with or without a mask, or `(batch, width)`; both sides must have
/// the same shape.
///
/// ```
/// use brew_core::loss::{Cos, Loss, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 0.0]).view([1, 1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[-3.0, 0.0]).view([1, 1, 2]));
/// assert!((Cos.term(&student, &teacher)?.mean()?.double_value(&[]) - 2.0).abs() < 1e-9);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cos;

impl Loss for Cos {
    fn name(&self) -> &'static str {
        "cos"
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        states::mismatches(student, teacher)
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let (student_states, teacher_states) = (student.first()?, teacher.first()?);
        if student_states.dim() == 2 {
            return Term::rows(&distance(&student_states, &teacher_states)?);
        }
        let mask = student.mask.as_ref();
        let per_position =
            distance(&states::kept(&student_states, mask)?, &states::kept(&teacher_states, mask)?)?;
        Term::positions(&per_position, mask)
    }
}

/// 1 - cos over the last dimension.
fn distance(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let sum = |product: Tensor| product.f_sum_dim_intlist(-1, false, None);
    let squared = |states: &Tensor| sum(states.f_square()?)?.f_add_scalar(EPSILON);
    let lengths = squared(student)?.f_mul(&squared(teacher)?)?.f_sqrt()?;
    Ok(sum(student.f_mul(teacher)?)?.f_div(&lengths)?.f_neg()?.f_add_scalar(1.0)?)
}

impl MatchLoss<Hidden, OneLayer> for Cos {}
impl MatchLoss<Embedding, OneLayer> for Cos {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "cos",
    summary: "1 - cosine of hidden states, position by position",
    source: "Sanh et al. 2019 (DistilBERT), arXiv 1910.01108",
    roles: &["hidden", "embedding"],
    make: |_| boxed(Cos),
    ..Entry::EMPTY
}];
