//! Relational knowledge distillation: compares distances and angles between examples.
//!
//! With e_i the vector of example i of the N that have a position, and huber(x) = x^2/2 for |x| < 1, |x| - 1/2 otherwise:
//!
//! - `rkd_distance`: D_ij = |e_i - e_j| / (the mean of the distances above 0);
//!   mean_ij huber(D of the student - D of the teacher)
//! - `rkd_angle`: A_ijk = cos of the angle at e_j between e_i and e_k, 0 where two of them are equal;
//!   mean_ijk huber(A of the student - A of the teacher)
//!
//! Both read the whole batch, and the angles N^3 numbers. The widths of the sides may differ. Source:
//! Park, Kim, Lu and Cho, "Relational Knowledge Distillation" (2019), with weights of 25 and 50.

use tch::{Reduction, Tensor};

use super::catalogue::{Entry, boxed};
use super::uses::{MatchLoss, OneLayer};
use super::vectors::POOL;
use super::vectors::Pool;
use super::vectors::{pooled_loss, unit};
use crate::error::Result;
use crate::role::{Embedding, Hidden};

pooled_loss! {
    /// Huber loss between the distances of a batch's examples, in units of their mean.
    ///
    /// Features are `(batch, width)`, or hidden states of `(batch, length, width)` of which each
    /// example's mean or first position is taken.
    ///
    /// ```
    /// use brew_core::loss::{Loss, Features, RkdDistance};
    /// use brew_core::tch::Tensor;
    ///
    /// // The same triangle, twice as large and turned: no distance differs.
    /// let student = Features::one(Tensor::from_slice2(&[[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]));
    /// let teacher = Features::one(Tensor::from_slice2(&[[0.0, 0.0], [0.0, 6.0], [8.0, 0.0]]));
    /// let loss = RkdDistance::of_means().term(&student, &teacher)?.mean()?;
    /// assert!(loss.double_value(&[]).abs() < 1e-12);
    /// # Ok::<(), brew_core::Error>(())
    /// ```
    RkdDistance, "rkd_distance", of_distances
}

pooled_loss! {
    /// Huber loss between the angles of a batch's examples, three at a time.
    ///
    /// Features are those of [`RkdDistance`].
    RkdAngle, "rkd_angle", of_angles
}

fn of_distances(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    compare(&distances(student)?, &distances(teacher)?)
}

fn of_angles(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    compare(&angles(student)?, &angles(teacher)?)
}

fn compare(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    Ok(student.f_smooth_l1_loss(teacher, Reduction::Mean, 1.0)?)
}

/// D, `(batch, batch)`.
fn distances(vectors: &Tensor) -> Result<Tensor> {
    // Computed by differences rather than a matrix product, which loses half of the digits of small
    // distances.
    let by_differences = 2;
    let distances = Tensor::f_cdist(vectors, vectors, 2.0, by_differences)?;
    let apart = distances.f_gt(0.0)?.f_sum(distances.kind())?;
    let mean = distances.f_sum(distances.kind())?.f_div(&apart.f_clamp_min(1.0)?)?;
    Ok(distances.f_div(&mean.f_masked_fill(&mean.f_eq(0.0)?, 1.0)?)?)
}

/// A, `(batch, batch, batch)`, the middle example first.
fn angles(vectors: &Tensor) -> Result<Tensor> {
    let sides = unit(&vectors.f_unsqueeze(0)?.f_sub(&vectors.f_unsqueeze(1)?)?, 2)?;
    Ok(sides.f_bmm(&sides.f_transpose(1, 2)?)?)
}

impl MatchLoss<Hidden, OneLayer> for RkdDistance {}
impl MatchLoss<Embedding, OneLayer> for RkdDistance {}
impl MatchLoss<Hidden, OneLayer> for RkdAngle {}
impl MatchLoss<Embedding, OneLayer> for RkdAngle {}

/// Their rows in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[
    Entry {
        name: "rkd_distance",
        summary: "Huber loss between the distances of a batch's examples",
        source: "Park et al. 2019, arXiv 1904.05068",
        roles: &["embedding", "hidden"],
        options: &[POOL],
        make: |options| boxed(RkdDistance { pool: Pool::chosen(options) }),
        ..Entry::EMPTY
    },
    Entry {
        name: "rkd_angle",
        summary: "Huber loss between the angles of a batch's examples",
        source: "Park et al. 2019, arXiv 1904.05068",
        roles: &["embedding", "hidden"],
        options: &[POOL],
        make: |options| boxed(RkdAngle { pool: Pool::chosen(options) }),
        ..Entry::EMPTY
    },
];
