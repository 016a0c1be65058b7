//! Hierarchical context loss: compares features position by position, and averaged over wider and wider
//! spans.
//!
//! With d = F_s - F_t of one example and P_l its averages over l spans (for a map: over l x l fields),
//! divided like PyTorch's `adaptive_avg_pool` over the n positions that count (for a map: n is its height):
//!
//! - mean over the examples of ( mean(d^2) + sum_l c_l mean( P_l(d)^2 ) ) / ( 1 + sum_l c_l ), over those l
//!   in 4, 2 and 1 that are below n, with c = 1/2, 1/4, 1/8 in that order: 4 positions have l = 2 with 1/2
//!   and l = 1 with 1/4
//!
//! Source: Chen et al., "Distilling Knowledge via Knowledge Review" (2021, arXiv:2104.09044), and its code's
//! `hcl`. The fusion of layers by attention that precedes it there is part of a model.

use tch::{Kind, Tensor};

use super::catalogue::{Entry, boxed};
use super::channels::{Equal, mismatches};
use super::examples::Examples;
use super::term::positions;
use super::uses::{MatchLoss, OneLayer};
use super::{Average, Features, Loss, Term, states};
use crate::error::Result;
use crate::role::Hidden;
use crate::words::shape;

const LEVELS: [i64; 3] = [4, 2, 1];

/// Squared difference of hidden states and of their averages over 4, 2 and 1 spans.
///
/// Features are maps of `(batch, channels, height, width)`, or hidden states of `(batch, length, width)`,
/// with the same shape on both sides; an example's spans cover its own positions, independent of padding.
///
/// ```
/// use brew_core::loss::{Features, Hcl, Loss};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let student = Features::one(Tensor::zeros([1, 2, 4], (Kind::Float, Device::Cpu)));
/// let teacher = Features::one(Tensor::ones([1, 2, 4], (Kind::Float, Device::Cpu)) * 3.0);
/// // For a constant difference all averages are the same.
/// assert_eq!(Hcl.term(&student, &teacher)?.mean()?.double_value(&[]), 9.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hcl;

impl Loss for Hcl {
    fn name(&self) -> &'static str {
        "hcl"
    }

    fn average(&self, masked: bool) -> Average {
        if masked { Average::RowsWithTokens } else { Average::Rows }
    }

    fn mismatches(&self, student: &Features, teacher: &Features) -> Vec<String> {
        let mut problems = mismatches(student, teacher, Equal::Both);
        let (of_student, of_teacher) = (student.shape(), teacher.shape());
        if problems.is_empty() && of_student != of_teacher {
            problems.push(format!(
                "the student's features are {}, the teacher's {}: both must have one shape",
                shape(&of_student),
                shape(&of_teacher)
            ));
        }
        problems
    }

    fn term(&self, student: &Features, teacher: &Features) -> Result<Term> {
        let mask = student.mask.as_ref();
        let difference = student.first()?.f_sub(&teacher.first()?)?;
        let per_example = match *difference.size() {
            [batch, _, height, _] => {
                let count = Tensor::f_full([batch], height, (Kind::Int64, difference.device()))?;
                let own = mean_square(&difference)?;
                over_levels(own, &count, |level| Ok(difference.f_adaptive_avg_pool2d([level, level])?))?
            }
            _ => {
                let difference = states::kept(&difference, mask)?;
                let counts = match mask {
                    Some(mask) => positions(mask)?,
                    None => difference.f_select(-1, 0)?.f_ones_like()?.f_to_kind(Kind::Bool)?,
                };
                let count = counts.f_sum_dim_intlist(1, false, Kind::Int64)?;
                let squares = difference.f_square()?.f_mean_dim(-1, false, None)?;
                let own = squares.f_sum_dim_intlist(1, false, None)?.f_div(&count.f_clamp_min(1)?)?;
                over_levels(own, &count, |level| {
                    Ok(spans(&counts, &count, level)?.f_to_kind(difference.kind())?.f_matmul(&difference)?)
                })?
            }
        };
        Examples::under(mask)?.term(&per_example)
    }
}

/// One value per example: its own, combined with those of the levels smaller than its number of positions.
fn over_levels(own: Tensor, count: &Tensor, pool: impl Fn(i64) -> Result<Tensor>) -> Result<Tensor> {
    let weight = Tensor::f_ones_like(&own)?;
    let all = (own, weight.shallow_clone(), weight);
    let (sum, weights, _) = LEVELS.iter().try_fold(all, |(sum, weights, last), level| -> Result<_> {
        let below = count.f_gt(*level)?.f_to_kind(sum.kind())?;
        let last = last.f_mul(&below.f_mul_scalar(-0.5)?.f_add_scalar(1.0)?)?;
        let weight = last.f_mul(&below)?;
        Ok((sum.f_add(&mean_square(&pool(*level)?)?.f_mul(&weight)?)?, weights.f_add(&weight)?, last))
    })?;
    Ok(sum.f_div(&weights)?)
}

fn mean_square(values: &Tensor) -> Result<Tensor> {
    Ok(values.f_flatten(1, -1)?.f_square()?.f_mean_dim(1, false, None)?)
}

/// The matrix that averages the positions that count over `level` spans, `(batch, level, length)`: span i of
/// n positions goes from floor(i n / level) to ceil((i + 1) n / level).
fn spans(counts: &Tensor, count: &Tensor, level: i64) -> Result<Tensor> {
    let place = counts.f_cumsum(1, Kind::Int64)?.f_sub_scalar(1)?.f_unsqueeze(1)?;
    let span = Tensor::f_arange(level, (Kind::Int64, counts.device()))?.f_view([1, level, 1])?;
    let count = count.f_view([-1, 1, 1])?;
    let start = span.f_mul(&count)?.f_divide_scalar_mode(level, "floor")?;
    let end = span.f_add_scalar(1)?.f_mul(&count)?.f_add_scalar(level - 1)?;
    let end = end.f_divide_scalar_mode(level, "floor")?;
    let within = place.f_ge_tensor(&start)?.f_logical_and(&place.f_lt_tensor(&end)?)?;
    let within = within.f_logical_and(&counts.f_unsqueeze(1)?)?.f_to_kind(Kind::Double)?;
    let size = within.f_sum_dim_intlist(-1, true, Kind::Double)?.f_clamp_min(1.0)?;
    Ok(within.f_div(&size)?)
}

impl MatchLoss<Hidden, OneLayer> for Hcl {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "hcl",
    summary: "squared difference of hidden states, and of their averages over 4, 2 and 1 spans",
    source: "Chen et al. 2021 (ReviewKD), arXiv 2104.09044",
    roles: &["hidden"],
    make: |_| boxed(Hcl),
    ..Entry::EMPTY
}];
