//! Terms: a loss's sum and denominator, kept separate until the count of the window is known.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// What a loss averages over: the unit of its denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Examples.
    Rows,
    /// Examples with a position whose mask is not 0: an example of only padding does not count.
    RowsWithTokens,
    /// Positions whose mask is not 0.
    Tokens,
    /// Pairs of positions in one document, both with a mask that is not 0: the squares of their counts.
    Pairs,
    /// Examples, or positions whose mask is not 0, with a label that counts: 0 or above.
    Labels,
    /// Something that only the loss can count, batch by batch, such as tokens aligned between two tokenizers.
    Own,
}

impl Average {
    /// The wording in an explanation.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Average::Rows => "rows",
            Average::RowsWithTokens => "rows with tokens",
            Average::Tokens => "tokens",
            Average::Pairs => "pairs",
            Average::Labels => "labels",
            Average::Own => "own",
        }
    }
}

/// A loss before its division.
#[derive(Debug)]
#[non_exhaustive]
pub struct Term {
    /// The sum over what counts, a scalar with the gradient.
    pub sum: Tensor,
    /// The number of summed values, a float32 or float64 scalar without gradient.
    pub count: Tensor,
    /// What was counted.
    pub average: Average,
    /// Tensors of this batch, without gradient, for the loss to remember: passed to [`Learns::after_term`].
    ///
    /// [`Learns::after_term`]: super::Learns::after_term
    pub noted: Vec<Tensor>,
}

impl Term {
    /// A term from the sum over what counts, the count, and its unit.
    pub fn new(sum: Tensor, count: Tensor, average: Average) -> Self {
        Term { sum, count, average, noted: Vec::new() }
    }

    /// The same with tensors to remember.
    #[must_use]
    pub fn noting(self, noted: Vec<Tensor>) -> Self {
        Term { noted, ..self }
    }

    /// The sum of one value per row.
    ///
    /// `per_row` is `(rows,)`.
    pub fn rows(per_row: &Tensor) -> Result<Self> {
        let count = Tensor::f_full([], per_row.numel() as f64, (per_row.kind(), per_row.device()))?;
        Ok(Term::new(per_row.f_sum(per_row.kind())?, count, Average::Rows))
    }

    /// One value of a whole batch of `rows` rows, counted once per row.
    pub fn batch(value: &Tensor, rows: i64) -> Result<Self> {
        let count = Tensor::f_full([], rows as f64, (value.kind(), value.device()))?;
        Ok(Term::new(value.f_mul_scalar(rows as f64)?, count, Average::Rows))
    }

    /// The sum of one value per position, over the positions whose mask is not 0; without a mask the mean over
    /// positions counts once per row.
    ///
    /// `per_position` and `mask` are `(batch, length)`.
    pub fn positions(per_position: &Tensor, mask: Option<&Tensor>) -> Result<Self> {
        let kind = per_position.kind();
        match mask {
            Some(mask) => {
                let sum = keep(per_position, &positions(mask)?)?.f_sum(kind)?;
                Ok(Term::new(sum, token_count(mask, kind)?, Average::Tokens))
            }
            None => Term::rows(&per_position.f_mean_dim(1, false, kind)?),
        }
    }

    /// The sum of one value per pair of positions, over the pairs of one document whose masks are not 0; without
    /// a mask the mean over pairs counts once per row.
    ///
    /// `per_pair` is `(batch, length, length)`, `mask` is `(batch, length)`.
    pub fn pairs(per_pair: &Tensor, mask: Option<&Tensor>) -> Result<Self> {
        let kind = per_pair.kind();
        match mask {
            Some(mask) => {
                let sum = keep(per_pair, &pairs(mask)?)?.f_sum(kind)?;
                Ok(Term::new(sum, pair_count(mask, kind)?, Average::Pairs))
            }
            None => Term::rows(&per_pair.f_mean_dim([1_i64, 2].as_slice(), false, kind)?),
        }
    }

    /// The same without the graph of its gradient.
    pub(crate) fn detached(self) -> Result<Self> {
        Ok(Term { sum: self.sum.f_detach()?, count: self.count.f_detach()?, ..self })
    }

    /// The term divided by its own count; 0 if the count is 0.
    pub fn mean(&self) -> Result<Tensor> {
        self.over(&self.count)
    }

    /// The term divided by another count, such as that of a window of batches.
    pub fn over(&self, count: &Tensor) -> Result<Tensor> {
        // Counts may be weights below 1.
        Ok(self.sum.f_div(&count.f_masked_fill(&count.f_eq(0.0)?, 1.0)?)?)
    }

    /// The same term with its sum multiplied.
    pub fn times(self, factor: f64) -> Result<Self> {
        Ok(Term { sum: self.sum.f_mul_scalar(factor)?, ..self })
    }
}

/// A finite score whose softmax is 0 beside any other, so that 0 times it is 0.
pub(super) const NO_SCORE: f64 = -1e38;

/// Which positions count: the mask as booleans, `(batch, length)`.
pub(super) fn positions(mask: &Tensor) -> Result<Tensor> {
    Ok(mask.f_to_kind(Kind::Bool)?)
}

/// Which pairs of positions count, `(batch, length, length)`: those of one document.
pub(super) fn pairs(mask: &Tensor) -> Result<Tensor> {
    let same = mask.f_unsqueeze(2)?.f_eq_tensor(&mask.f_unsqueeze(1)?)?;
    Ok(same.f_logical_and(&positions(mask)?.f_unsqueeze(1)?)?)
}

/// The tensor with 0 for everything that does not count.
///
/// Not a product with the mask, because NaN or infinity in the padding must not count. A loss must do this
/// before it squares or divides, or such a value returns in the gradient as 0 times NaN.
pub(super) fn keep(tensor: &Tensor, counts: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_masked_fill(&counts.f_logical_not()?, 0.0)?)
}

/// How many positions of a mask count, as a scalar of this kind.
pub(crate) fn token_count(mask: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(positions(mask)?.f_sum(kind)?)
}

/// How many examples of a mask have a position that counts.
pub(crate) fn row_count(mask: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(positions(mask)?.f_any_dim(-1, false)?.f_sum(kind)?)
}

/// How many pairs of positions of a mask count: the sum over documents of (positions)^2.
pub(crate) fn pair_count(mask: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(pairs(mask)?.f_sum_dim_intlist([1_i64, 2].as_slice(), false, kind)?.f_sum(kind)?)
}

/// The tensor in float32, or unchanged if it is float64.
pub(crate) fn wide(tensor: &Tensor) -> Result<Tensor> {
    match tensor.kind() {
        Kind::Float | Kind::Double => Ok(tensor.shallow_clone()),
        _ => Ok(tensor.f_to_kind(Kind::Float)?),
    }
}

/// Refuses a mask with values other than 0 and 1, which would weight positions. If its model tells documents apart, it
/// may also number them: 1, 2, 3 and so on.
pub(crate) fn check_mask(whose: &str, mask: &Tensor, documents: bool) -> Result<()> {
    if mask.numel() == 0 {
        return Ok(());
    }
    let mask = mask.f_to_kind(Kind::Double)?;
    let whole = mask.f_frac()?.f_eq(0.0)?.f_logical_and(&mask.f_ge(0.0)?)?.f_all()?.f_int64_value(&[])? == 1;
    let numbers = mask.f_max()?.f_double_value(&[])? > 1.0;
    if whole && (documents || !numbers) {
        return Ok(());
    }
    let packed = match (whole, documents) {
        (true, _) => {
            "; numbers above 1 tell the documents of packed rows apart, which this model does not read: give each document a row of its own"
        }
        (false, true) => ", or numbers the documents of a packed row: 1, 2, 3 and so on",
        (false, false) => "",
    };
    Err(Error::invalid(format!(
        "{whose} has values other than 0 and 1: a mask says of each position whether it counts{packed}"
    )))
}

/// Whether a mask numbers several documents.
pub(crate) fn has_documents(mask: &Tensor) -> Result<bool> {
    Ok(mask.f_gt(1)?.f_any()?.f_int64_value(&[])? == 1)
}
