//! Patient knowledge distillation: compares the first position's hidden states, scaled to length 1
//! (TextBrewer's `pkd`, `pkd_loss`).
//!
//! With s and t the hidden states of position 0 (BERT's `[CLS]`), vectors of the width:
//!
//! - mean_b( sum_h ( s/|s| - t/|t| )^2_bh )
//!
//! As in TextBrewer, no mask is read: position 0 always counts, even in a row of only padding, and padding
//! must come after it. Source: Sun et al., "Patient Knowledge Distillation for BERT Model Compression"
//! (2019).
//!
//! Deliberate difference from TextBrewer: a zero vector stays zero, where TextBrewer divides it by 0. A row
//! with a zero vector on one side therefore has a loss of 1.

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Masks, Term, states};
use crate::error::Result;
use crate::role::{Embedding, Hidden};
use crate::words::shape;

/// Squared distance between the directions of two layers' first positions.
///
/// Features are `(batch, length, width)`, of which position 0 is taken, or `(batch, width)`; the two
/// sides may have different lengths.
///
/// ```
/// use brew_core::loss::{Loss, Pkd, Features};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[5.0, 0.0]).view([1, 2]));
/// let teacher = Features::one(Tensor::from_slice(&[0.0, 2.0]).view([1, 2]));
/// assert_eq!(Pkd.term(&student, &teacher)?.mean()?.double_value(&[]), 2.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pkd;

impl Loss for Pkd {
    fn name(&self) -> &'static str {
        "pkd"
    }

    fn masks(&self) -> Masks {
        Masks::Ignored
    }

    fn average(&self, _: bool) -> Average {
        Average::Rows
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        let (Some([batch, width]), Some([teacher_batch, teacher_width])) =
            (outer(&of_student), outer(&of_teacher))
        else {
            return vec![format!(
                "hidden states must be (batch, length, width) or (batch, width); the student's are {}, the teacher's {}",
                shape(&of_student),
                shape(&of_teacher)
            )];
        };
        let mut problems: Vec<String> = states::width_problem(width, teacher_width).into_iter().collect();
        if batch != teacher_batch {
            problems.push(format!(
                "the student's hidden states have {batch} rows, the teacher's {teacher_batch}: both sides must read the same rows"
            ));
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let difference = direction(&student.first()?)?.f_sub(&direction(&teacher.first()?)?)?;
        Term::rows(&difference.f_square()?.f_sum_dim_intlist(-1, false, None)?)
    }
}

/// `[batch, width]` of one or of all positions.
fn outer(sizes: &[i64]) -> Option<[i64; 2]> {
    match *sizes {
        [batch, width] | [batch, _, width] => Some([batch, width]),
        _ => None,
    }
}

/// The first position scaled to length 1; a zero vector stays zero.
fn direction(states: &Tensor) -> Result<Tensor> {
    let first = if states.dim() == 3 { states.f_select(1, 0)? } else { states.shallow_clone() };
    let length = first.f_norm_scalaropt_dim(2, [-1].as_slice(), true)?;
    Ok(first.f_div(&length.f_masked_fill(&length.f_eq(0.0)?, 1.0)?)?)
}

impl MatchLoss<Hidden, OneLayer> for Pkd {}
impl MatchLoss<Embedding, OneLayer> for Pkd {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "pkd",
    summary: "squared distance between the directions of the first positions",
    source: "Sun et al. 2019 (Patient KD), arXiv 1908.09355",
    roles: &["hidden", "embedding"],
    make: |_| boxed(Pkd),
    ..Entry::EMPTY
}];
