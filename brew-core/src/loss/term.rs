//! A sum and its denominator, kept apart until it is known what the window counts.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;

/// What a loss averages over: the unit of its denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Examples.
    Rows,
    /// Positions whose mask is 1.
    Tokens,
}

/// A loss before its division.
#[derive(Debug)]
pub struct Term {
    /// The sum over what counts, a scalar with the gradient.
    pub sum: Tensor,
    /// How many were summed, a float32 or float64 scalar without gradient.
    pub count: Tensor,
    /// What was counted.
    pub average: Average,
}

impl Term {
    /// The sum of one value a row.
    ///
    /// `per_row` is `(rows,)`.
    pub fn rows(per_row: &Tensor) -> Result<Self> {
        let count = Tensor::f_full([], per_row.numel() as f64, (per_row.kind(), per_row.device()))?;
        Ok(Term { sum: per_row.f_sum(per_row.kind())?, count, average: Average::Rows })
    }

    /// The sum of one value a position, over the positions whose mask is 1; without a mask the mean
    /// over positions counts once a row.
    ///
    /// `per_position` and `mask` are `(batch, length)`.
    pub fn positions(per_position: &Tensor, mask: Option<&Tensor>) -> Result<Self> {
        let kind = per_position.kind();
        match mask {
            Some(mask) => {
                let mask = mask.f_to_kind(Kind::Bool)?;
                // `where` and not a product: a NaN or an infinity in the padding must not count.
                let kept = per_position.f_where_self(&mask, &per_position.f_zeros_like()?)?;
                let count = mask.f_sum(kind)?;
                Ok(Term { sum: kept.f_sum(kind)?, count, average: Average::Tokens })
            }
            None => Term::rows(&per_position.f_mean_dim(1, false, kind)?),
        }
    }

    /// The term divided by what it counts itself; 0 where it counts nothing.
    pub fn mean(&self) -> Result<Tensor> {
        self.over(&self.count)
    }

    /// The term divided by another count, such as that of a window of batches.
    pub fn over(&self, count: &Tensor) -> Result<Tensor> {
        Ok(self.sum.f_div(&count.f_clamp_min(1.0)?)?)
    }

    /// The same term with its sum multiplied.
    pub fn times(self, factor: f64) -> Result<Self> {
        Ok(Term { sum: self.sum.f_mul_scalar(factor)?, ..self })
    }
}

/// The tensor in float32, or in float64 where it is that already.
pub(crate) fn wide(tensor: &Tensor) -> Result<Tensor> {
    match tensor.kind() {
        Kind::Float | Kind::Double => Ok(tensor.shallow_clone()),
        _ => Ok(tensor.f_to_kind(Kind::Float)?),
    }
}

/// `(2, 3)`.
pub(crate) fn shape(sizes: &[i64]) -> String {
    format!("({})", sizes.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}
