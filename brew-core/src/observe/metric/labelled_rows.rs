//! The positions of each row that have a label: what metrics of language models reduce a batch to, since the logits of a
//! whole data set would not fit in memory.

use tch::{Kind, Tensor};

use super::super::predictions::Predictions;
use super::classes::{check, nothing_counts, one_head};
use crate::error::{Error, InStage, Result};
use crate::role::counts;

/// The logits and labels of all positions that count.
pub(super) struct Labelled {
    /// `(positions, classes)`.
    pub(super) logits: Tensor,
    /// `(positions,)` int64.
    pub(super) labels: Tensor,
    /// The row of each position, and the number of rows; in packed rows, each document is a row of its own.
    row: Tensor,
    rows: i64,
}

impl Labelled {
    /// Of predictions of one head.
    ///
    /// # Errors
    /// Missing labels, several heads, labels that are the model's input, out of range, or no classes, and NaN logits where
    /// labels count.
    pub(super) fn of(metric: &str, predictions: &Predictions) -> Result<Self> {
        let (logits, labels) = one_head(metric, predictions)?;
        let (shape, found) = (logits.size(), labels.size());
        let per_class = shape.split_last().is_some_and(|(classes, rest)| *classes > 1 && rest == found);
        if !per_class || !matches!(labels.f_kind()?, Kind::Int64 | Kind::Int | Kind::Int16) {
            return Err(Error::invalid(format!(
                "{metric} needs logits of (rows, length, tokens) and integer labels of (rows, length), but they are {shape:?} and {found:?}, of {:?}",
                labels.f_kind()?
            )));
        }
        let labels = labels.f_to_kind(Kind::Int64)?;
        let mut counts = counts(&labels)?;
        if let Some(mask) = predictions.mask() {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        check(predictions, metric, logits, &labels, &counts)?;
        let places = counts.f_nonzero()?;
        let flat = counts.f_reshape([-1])?.f_nonzero()?.f_squeeze_dim(1)?;
        let (classes, rows) = (shape.last().copied().unwrap_or(1), shape.first().copied().unwrap_or(0));
        let row = places.f_select(1, 0)?;
        let documents = predictions.documents().or(predictions.numbers());
        let (row, rows) = match documents.filter(|mask| mask.size() == found && mask.numel() > 0) {
            Some(documents) => {
                let documents = documents.f_to_kind(Kind::Int64)?.f_clamp_min(1)?;
                let numbers = documents.f_max()?.f_int64_value(&[])? + 1;
                let document = documents.f_reshape([-1])?.f_index_select(0, &flat)?;
                (row.f_mul_scalar(numbers)?.f_add(&document)?, rows * numbers)
            }
            None => (row, rows),
        };
        Ok(Labelled {
            logits: logits.f_reshape([-1, classes])?.f_index_select(0, &flat)?,
            labels: labels.f_reshape([-1])?.f_index_select(0, &flat)?,
            row,
            rows,
        })
    }

    /// Per row, or document, the sum of a number of each position, and the number of positions: `(rows, 2)`.
    pub(super) fn sums(&self, numbers: &Tensor) -> Result<Tensor> {
        let numbers = numbers.f_to_kind(Kind::Double)?;
        let both = Tensor::f_stack(&[&numbers, &numbers.f_ones_like()?], 1)?;
        let sums = Tensor::f_zeros([self.rows, 2], (Kind::Double, numbers.device()))?;
        Ok(sums.f_index_add(0, &self.row, &both)?)
    }
}

/// The sums of all rows, as pairs of a sum and a number of positions, of rows that have positions: those that were kept
/// of batches, or else those of the predictions.
///
/// # Errors
/// No row has any; those of the sums.
pub(super) fn pairs(
    metric: &str,
    predictions: &Predictions,
    sums: fn(&Predictions) -> Result<Tensor>,
) -> Result<Vec<(f64, f64)>> {
    let sums = match predictions.reduced() {
        Some(sums) => sums.shallow_clone(),
        None => sums(predictions)?,
    };
    let flat = Vec::<f64>::try_from(sums.f_to_kind(Kind::Double)?.f_reshape([-1])?)?;
    let pairs: Vec<(f64, f64)> = flat
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(_, positions)| *positions > 0.0)
        .collect();
    if pairs.is_empty() { Err(nothing_counts(metric)) } else { Ok(pairs) }
}
