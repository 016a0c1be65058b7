//! Compares two sets of features of the same rows: equal up to round-off, or the first difference.

use tch::{Kind, Tensor};

use super::gather::{Recalled, RecalledPart};
use crate::error::Result;
use crate::role::{Logits, Role};

/// How far two values may differ and still count as equal up to round-off: `relative` times the largest value
/// in their row, or times `floor` if that is larger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tolerance {
    relative: f64,
    floor: f64,
}

impl Tolerance {
    /// The tolerance for values of a dtype. It is far above the round-off that a different batch size causes,
    /// and far below the difference to another row or another teacher.
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Double => Tolerance { relative: 1e-6, floor: 1e-3 },
            Kind::Float => Tolerance { relative: 1e-3, floor: 1e-2 },
            Kind::Half | Kind::BFloat16 => Tolerance { relative: 3e-2, floor: 0.3 },
            _ => Tolerance { relative: 0.0, floor: 0.0 },
        }
    }

    /// The wider of two tolerances.
    pub(crate) fn or_wider(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if self.relative > 0.0 && other.relative > self.relative => other,
            _ => self,
        }
    }
}

/// Two values that differ.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueDifference {
    /// The tensor, such as `hidden/2`.
    pub(crate) part: String,
    /// The row in the batch, from 0.
    pub(crate) row: usize,
    /// The value on the first side.
    pub(crate) first: f64,
    /// The value on the second side.
    pub(crate) second: f64,
}

impl Recalled {
    /// Only these rows.
    pub(crate) fn of_rows(&self, rows: &[i64]) -> Result<Self> {
        let part = |(name, part): (&String, &RecalledPart)| -> Result<(String, RecalledPart)> {
            let rows = Tensor::f_from_slice(rows)?.f_to_device(part.tensor.device())?;
            Ok((
                name.clone(),
                RecalledPart { kept: part.kept, tensor: part.tensor.f_index_select(0, &rows)? },
            ))
        };
        Ok(Recalled(self.0.iter().map(part).collect::<Result<_>>()?))
    }

    /// The first difference beyond round-off, among the positions that both sides have.
    pub(crate) fn difference(
        &self,
        other: &Recalled,
        tolerance: &dyn Fn(Kind) -> Tolerance,
    ) -> Result<Option<ValueDifference>> {
        for (name, mine) in &self.0 {
            let Some(theirs) = other.0.get(name) else { continue };
            // Nearly equal logits may swap places among the top k.
            if is_classes(name, mine.kept) {
                continue;
            }
            let shape: Vec<i64> = (mine.tensor.size().iter().zip(theirs.tensor.size()))
                .map(|(mine, theirs)| *mine.min(&theirs))
                .collect();
            let (Some(first), Some(second)) =
                (corner(&mine.tensor, &shape)?, corner(&theirs.tensor, &shape)?)
            else {
                continue;
            };
            if let Some((row, first, second)) = apart(&first, &second, tolerance(mine.kept))? {
                return Ok(Some(ValueDifference { part: name.clone(), row, first, second }));
            }
        }
        Ok(None)
    }
}

/// Whether a part holds the classes of the top logits.
fn is_classes(name: &str, kept: Kind) -> bool {
    kept == Kind::Int && name.split_once('/').is_some_and(|(role, _)| role == Logits::NAME)
}

/// The row and both values of the largest difference, if it exceeds the tolerance.
fn apart(first: &Tensor, second: &Tensor, tolerance: Tolerance) -> Result<Option<(usize, f64, f64)>> {
    let wide =
        |tensor: &Tensor| Ok::<_, crate::error::Error>(tensor.f_to_kind(Kind::Double)?.f_reshape([-1])?);
    let (mine, theirs) = (wide(first)?, wide(second)?);
    let (apart, largest) = (distances(&mine, &theirs)?, largest(&theirs)?);
    let place = apart.f_argmax(None, false)?.f_int64_value(&[])?;
    if apart.f_double_value(&[place])? <= tolerance.relative * largest.max(tolerance.floor) {
        return Ok(None);
    }
    let rows = first.size().first().copied().unwrap_or(1).max(1);
    let row = place / (mine.numel() as i64 / rows).max(1);
    Ok(Some((
        usize::try_from(row).unwrap_or_default(),
        mine.f_double_value(&[place])?,
        theirs.f_double_value(&[place])?,
    )))
}

/// |a - b| of each value, in float64: 0 where both are the same NaN or infinity, and infinite where only one
/// side is NaN or infinite.
pub(crate) fn distances(first: &Tensor, second: &Tensor) -> Result<Tensor> {
    let same =
        first.f_eq_tensor(second)?.f_logical_or(&first.f_isnan()?.f_logical_and(&second.f_isnan()?)?)?;
    let apart = first.f_sub(second)?.f_abs()?.f_masked_fill(&same, 0.0)?;
    Ok(apart.f_nan_to_num(f64::INFINITY, f64::INFINITY, f64::INFINITY)?)
}

/// The largest finite |a| of a non-empty tensor.
pub(crate) fn largest(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.f_nan_to_num(0.0, 0.0, 0.0)?.f_abs()?.f_max()?.f_double_value(&[])?)
}

/// The values of a tensor within a smaller shape of the same rank; `None` if there are none.
fn corner(tensor: &Tensor, shape: &[i64]) -> Result<Option<Tensor>> {
    if tensor.dim() != shape.len() || shape.contains(&0) {
        return Ok(None);
    }
    let mut tensor = tensor.shallow_clone();
    for (dimension, size) in shape.iter().enumerate() {
        tensor = tensor.f_narrow(dimension as i64, 0, *size)?;
    }
    Ok(Some(tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(first: &[f32], second: &[f32]) -> Option<(usize, f64, f64)> {
        let rows = |values: &[f32]| Tensor::from_slice(values).view([-1, 2]);
        apart(&rows(first), &rows(second), Tolerance::of(Kind::Float)).unwrap()
    }

    #[test]
    fn values_differ_by_more_than_round_off_and_infinities_like_numbers() {
        assert_eq!(found(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.000_001, 3.0, 4.0]), None);
        assert_eq!(found(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.5, 4.0]), Some((1, 3.0, 3.5)));
        let (none, minus) = (f32::NAN, f32::NEG_INFINITY);
        assert_eq!(found(&[none, minus], &[none, minus]), None);
        assert_eq!(found(&[0.5, minus], &[0.5, 1.0]).map(|(row, ..)| row), Some(0));
        assert_eq!(found(&[0.5, 1.0], &[0.5, none]).map(|(row, ..)| row), Some(0));
    }

    #[test]
    fn a_value_near_zero_is_held_against_the_floor() {
        // 1e-6 is the round-off of activations of about 1, so a value of 1e-6 counts as zero.
        assert_eq!(found(&[1e-6, 0.0], &[2e-6, 0.0]), None);
        assert!(found(&[1e-3, 0.0], &[2e-3, 0.0]).is_some());
    }
}
