//! Probabilistic knowledge transfer: compares how likely examples are to be each other's neighbours.
//!
//! With e_i the vector of example i of the N that have a position, S_ij = (cos(e_i, e_j) + 1) / 2 divided by the sum of its
//! row, and T of the teacher likewise:
//!
//! - mean_ij T_ij log( (T_ij + 1e-7) / (S_ij + 1e-7) )
//!
//! It reads the whole batch; the sides may have different widths. Source: Passalis and Tefas, "Learning Deep
//! Representations with Probabilistic Knowledge Transfer" (2018).

use tch::Tensor;

use super::catalogue::{Entry, boxed};
use super::uses::{MatchLoss, OneLayer};
use super::vectors::POOL;
use super::vectors::Pool;
use super::vectors::pooled_loss;
use crate::error::Result;
use crate::role::{Embedding, Hidden};

const EPSILON: f64 = 1e-7;

pooled_loss! {
    /// Divergence between the neighbourhoods of a batch's examples.
    ///
    /// Features are `(batch, width)`, or hidden states of `(batch, length, width)` from which each example's
    /// mean or first position is taken.
    ///
    /// ```
    /// use brew_core::loss::{Loss, Pkt, Features};
    /// use brew_core::tch::Tensor;
    ///
    /// // A rotation does not change the neighbourhoods.
    /// let student = Features::one(Tensor::from_slice2(&[[1.0, 0.0], [0.0, 3.0]]));
    /// let teacher = Features::one(Tensor::from_slice2(&[[0.0, 2.0], [1.0, 0.0]]));
    /// assert!(Pkt::of_means().term(&student, &teacher)?.mean()?.double_value(&[]).abs() < 1e-9);
    /// # Ok::<(), brew_core::Error>(())
    /// ```
    Pkt, "pkt", compare
}

fn compare(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let (student, teacher) = (neighbours(student)?, neighbours(teacher)?);
    let log = |side: &Tensor| side.f_add_scalar(EPSILON)?.f_log();
    let divergence = teacher.f_mul(&log(&teacher)?.f_sub(&log(&student)?)?)?;
    Ok(divergence.f_mean(divergence.kind())?)
}

/// S of one side.
fn neighbours(vectors: &Tensor) -> Result<Tensor> {
    let lengths = vectors.f_norm_scalaropt_dim(2, [1_i64].as_slice(), true)?;
    let directions = vectors.f_div(&lengths.f_add_scalar(EPSILON)?)?;
    let cosines = directions.f_matmul(&directions.f_transpose(0, 1)?)?;
    let moved = cosines.f_add_scalar(1.0)?.f_div_scalar(2.0)?;
    Ok(moved.f_div(&moved.f_sum_dim_intlist(1, true, None)?)?)
}

impl MatchLoss<Hidden, OneLayer> for Pkt {}
impl MatchLoss<Embedding, OneLayer> for Pkt {}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "pkt",
    summary: "divergence of the neighbourhoods of a batch's examples",
    source: "Passalis and Tefas 2018, arXiv 1803.10837",
    roles: &["embedding", "hidden"],
    options: &[POOL],
    make: |options| boxed(Pkt { pool: Pool::chosen(options) }),
    ..Entry::EMPTY
}];
