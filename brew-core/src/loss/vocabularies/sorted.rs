//! The distance of sorted probabilities, independent of the classes' meaning.

use tch::Tensor;

use crate::error::Result;

/// sum_i |q_(i) - p_(i)| of each row, q_(1) >= q_(2) >= …; the shorter side is padded with 0.
///
/// `(rows, classes)` of each side's own number of classes, to `(rows,)`.
pub(super) fn sorted_distance(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let (student, _) = student.f_sort(-1, true)?;
    let (teacher, _) = teacher.f_sort(-1, true)?;
    let classes = |side: &Tensor| side.size().last().copied().unwrap_or(0);
    let widest = classes(&student).max(classes(&teacher));
    let padded = |side: &Tensor| side.f_constant_pad_nd([0, widest - classes(side)].as_slice());
    let distance = padded(&student)?.f_sub(&padded(&teacher)?)?.f_abs()?;
    Ok(distance.f_sum_dim_intlist(-1, false, distance.kind())?)
}
