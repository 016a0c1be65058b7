//! Neuron selectivity transfer: compares the similarities of positions, pair by pair (TextBrewer's `nst` or
//! `mmd`, `mmd_loss`).
//!
//! With two layers X and Y of one side, `(batch, length, width)` each, and the mask m of
//! `(batch, length)`:
//!
//! - G = X Y^T / width, `(batch, length, length)`, each side with its own width
//! - without a mask: mean( (G of the student - G of the teacher)^2 )
//! - with a mask: sum_{b,i,j} (G of the student - G of the teacher)^2_bij m_bi m_bj
//!   / sum_b (sum_i m_bi)^2
//!
//! The widths of the sides may differ without a projection. One layer given twice compares the similarities
//! of its tokens (the `smmd` of TextBrewer's recipes). Pairs of positions are compared pairwise between the
//! sides, so both must have the same mask. Source: Huang and Wang, "Like What You Like: Knowledge Distill via
//! Neuron Selectivity Transfer" (2017).
//!
//! With a mask, G is also divided by the width, as at TextBrewer's HEAD; its released versions divide by the
//! length in that case.

use tch::Tensor;

use super::catalogue::{Entry, LayersRead, boxed};
use super::uses::{MatchLoss, TwoLayers};
use super::{Average, Features, Loss, Term, states};
use crate::error::Result;
use crate::role::Hidden;

/// Mean squared difference of two sides' Gram matrices over widths.
///
/// ```
/// use brew_core::loss::{Loss, Nst, Features};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let of = |width| Tensor::ones([1, 2, width], (Kind::Float, Device::Cpu));
/// let student = Features::two(of(3), of(3));
/// let teacher = Features::two(of(5), of(5) * 3.0);
/// assert_eq!(Nst.term(&student, &teacher)?.mean()?.double_value(&[]), 4.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[doc(alias = "mmd")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nst;

impl Loss for Nst {
    fn name(&self) -> &'static str {
        "nst"
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::Pairs } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let (of_student, of_teacher) = match states::two_layers(student, teacher) {
            Ok(sizes) => sizes,
            Err(problems) => return problems,
        };
        let mut problems = Vec::new();
        for (side, [[_, _, first], [_, _, second]]) in [("student", of_student), ("teacher", of_teacher)] {
            if first != second {
                problems.push(format!(
                    "the {side}'s two layers are {first} and {second} wide: choose two layers of one width"
                ));
            }
        }
        if of_student[0][..2] != of_teacher[0][..2] {
            problems.push(states::rows_problem(&of_student[0], &of_teacher[0]));
        }
        problems.extend(states::mask_problem("student", student));
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let difference = similarities(student, mask)?.f_sub(&similarities(teacher, mask)?)?;
        Term::pairs(&difference.f_square()?, mask)
    }
}

/// G of one side.
fn similarities(read: &Features, mask: Option<&Tensor>) -> Result<Tensor> {
    let (first, second) = read.both()?;
    let width = first.size3()?.2;
    let products = states::kept(&first, mask)?.f_matmul(&states::kept(&second, mask)?.f_transpose(1, 2)?)?;
    Ok(products.f_div_scalar(width as f64)?)
}

impl MatchLoss<Hidden, TwoLayers> for Nst {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "nst",
    aliases: &["mmd"],
    summary: "squared difference of the similarities of positions",
    source: "Huang and Wang 2017, arXiv 1707.01219, in TextBrewer's form",
    roles: &["hidden"],
    layers: LayersRead::Two,
    make: |_| boxed(Nst),
    ..Entry::EMPTY
}];
