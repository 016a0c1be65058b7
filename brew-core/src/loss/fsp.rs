//! Flow of solution procedure: compares how one layer relates to another by Gram matrices over the widths
//! (TextBrewer's `fsp` or `gram`, `fsp_loss`).
//!
//! With two layers X and Y of one side, `(batch, length, width)` each, and its mask m of
//! `(batch, length)`:
//!
//! - without a mask: G = X^T Y / length, `(batch, width of X, width of Y)`
//! - with a mask: the padded rows of X and Y become 0, and G = X^T Y / sum_i m_bi, example by example
//! - the loss is mean( (G of the student - G of the teacher)^2 )
//!
//! Positions are summed over, so the sides may have different lengths, and each side has its own
//! mask; a teacher without one is masked by the student's, as in TextBrewer. Source: Yim et al., "A
//! Gift from Knowledge Distillation" (2017).
//!
//! Deliberate difference from TextBrewer, which uses the student's mask for both sides and divides 0 by 0 for
//! an example that is only padding: here such an example is not in the mean.

use tch::Tensor;

use super::catalogue::{Entry, LayersRead, boxed};
use super::examples::Examples;
use super::uses::{MatchLoss, TwoLayers};
use super::{Average, Features, Loss, Masks, Term, states};
use crate::error::Result;
use crate::role::Hidden;
use crate::words::shape;

/// Mean squared difference of two sides' Gram matrices over positions.
///
/// ```
/// use brew_core::loss::{Fsp, Loss, Features};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let of = |length| Tensor::ones([1, length, 3], (Kind::Float, Device::Cpu));
/// let student = Features::two(of(4), of(4));
/// let teacher = Features::two(of(9), of(9) * 3.0);
/// assert_eq!(Fsp.term(&student, &teacher)?.mean()?.double_value(&[]), 4.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[doc(alias = "gram")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fsp;

impl Loss for Fsp {
    fn name(&self) -> &'static str {
        "fsp"
    }

    fn masks(&self) -> Masks {
        Masks::Own
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = match states::two_layers(student, teacher) {
            Ok(sizes) => sizes,
            Err(problems) => return problems,
        };
        let mut problems = Vec::new();
        for ([_, _, width], [_, _, teacher_width]) in of_student.into_iter().zip(of_teacher) {
            problems.extend(
                states::width_problem(width, teacher_width).filter(|problem| !problems.contains(problem)),
            );
        }
        let ([batch, length, _], [teacher_batch, teacher_length, _]) = (of_student[0], of_teacher[0]);
        if batch != teacher_batch {
            problems.push(states::rows_problem(&of_student[0], &of_teacher[0]));
        }
        if length != teacher_length && student.mask.is_some() && teacher.mask.is_none() {
            problems.push(format!(
                "the teacher's hidden states are {}, but only the student, of {}, has a mask: give the teacher's adaptor its own `inputs_mask`",
                shape(&of_teacher[0]),
                shape(&of_student[0])
            ));
        }
        problems.extend(states::mask_problem("student", student));
        problems.extend(states::mask_problem("teacher", teacher));
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let teachers_mask = teacher.mask.as_ref().or(student.mask.as_ref());
        let difference = flow(student, student.mask.as_ref())?.f_sub(&flow(teacher, teachers_mask)?)?;
        let per_example = difference.f_square()?.f_mean_dim([1_i64, 2].as_slice(), false, None)?;
        Examples::of(student, teacher)?.term(&per_example)
    }
}

/// G of one side.
fn flow(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let (first, second) = read.both()?;
    let kind = first.kind();
    let products = states::kept(&first, mask)?.f_transpose(1, 2)?.f_matmul(&states::kept(&second, mask)?)?;
    match mask {
        Some(mask) => {
            let counts =
                super::term::positions(mask)?.f_sum_dim_intlist(-1, false, kind)?.f_clamp_min(1.0)?;
            Ok(products.f_div(&counts.f_view([-1, 1, 1])?)?)
        }
        None => Ok(products.f_div_scalar(first.size3()?.1 as f64)?),
    }
}

impl MatchLoss<Hidden, TwoLayers> for Fsp {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "fsp",
    aliases: &["gram"],
    summary: "squared difference of Gram matrices between two layers",
    source: "Yim et al. 2017, CVPR",
    roles: &["hidden"],
    layers: LayersRead::Two,
    make: |_| boxed(Fsp),
    ..Entry::EMPTY
}];
