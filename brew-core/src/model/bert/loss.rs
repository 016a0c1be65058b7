//! The models' own losses, equal to those of Python's transformers.
//!
//! Each is a scalar, the mean over everything that counts in the whole batch, and 0 if nothing counts. What
//! counts follows from the labels alone, so that accumulated batches give the same result as one batch of
//! their rows. All are computed in float32.

use tch::{Kind, Reduction, Tensor};

use crate::error::{Error, InStage, Result};
use crate::model::cross_entropy::CrossEntropy;
use crate::model::problem::{HeadProblem, ProblemType};
use crate::role::IGNORED;

/// The mean loss of the examples that count, for logits `(batch, classes)` and labels of the head's problem
/// type; a label of -100 does not count.
pub(crate) fn of_sequences(
    logits: &Tensor,
    labels: &Tensor,
    head: &HeadProblem,
    cross_entropy: &CrossEntropy,
) -> Result<Tensor> {
    let problem = head.of(&logits.size(), labels)?;
    let logits = logits.f_to_kind(Kind::Float).in_stage("loss")?;
    let each = match problem {
        ProblemType::SingleLabelClassification => {
            return mean_cross_entropy(cross_entropy, &logits, labels, IGNORED)
                .map_err(|error| out_of_range("one class per example", &logits, error));
        }
        ProblemType::Regression => {
            cross_entropy.refuse_beside(problem)?;
            let off = logits.f_sub(&numbers(&logits, labels)?).in_stage("loss")?;
            off.f_square().in_stage("loss")?
        }
        ProblemType::MultiLabelClassification => {
            cross_entropy.refuse_beside(problem)?;
            let (labels, none) = (numbers(&logits, labels)?, None::<Tensor>);
            logits
                .f_binary_cross_entropy_with_logits(&labels, none.as_ref(), none.as_ref(), Reduction::None)
                .in_stage("loss")?
        }
    };
    each.f_mean(Kind::Float).in_stage("loss")
}

/// The weight of each example in [`of_sequences`], `(batch,)`: one with a class the weight of its class, one
/// of -100 nothing, and one with numbers 1.
pub(crate) fn count_of_sequences(
    labels: &Tensor,
    classes: i64,
    head: &HeadProblem,
    cross_entropy: &CrossEntropy,
) -> Result<Tensor> {
    let rows = labels.size().first().copied().unwrap_or(0);
    match head.of(&[rows, classes], labels)? {
        ProblemType::SingleLabelClassification => cross_entropy.count(labels),
        ProblemType::Regression | ProblemType::MultiLabelClassification => {
            Ok(Tensor::f_ones([rows], (Kind::Float, labels.device()))?)
        }
    }
}

/// The mean cross entropy over the tokens of the batch whose label is not -100, a scalar; 0 if no token
/// counts. `logits` is `(batch, length, classes)`, `labels` `(batch, length)`.
pub(crate) fn of_tokens(logits: &Tensor, labels: &Tensor, cross_entropy: &CrossEntropy) -> Result<Tensor> {
    ProblemType::of(Some(ProblemType::SingleLabelClassification), &logits.size(), labels)?;
    let logits = logits.f_to_kind(Kind::Float)?.f_flatten(0, 1).in_stage("loss")?;
    mean_cross_entropy(cross_entropy, &logits, &labels.f_reshape([-1]).in_stage("labels")?, IGNORED)
        .map_err(|error| out_of_range("one class per token", &logits, error))
}

/// The mean cross entropy of positions over the length, a scalar; 0 if no position counts.
///
/// `logits` is `(batch, length)`, `positions` `(batch,)`. A position beyond the text does not count, and one
/// below 0 is treated as 0, as in transformers.
pub(crate) fn of_positions(logits: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let logits = logits.f_to_kind(Kind::Float).in_stage("loss")?;
    let length = logits.size().last().copied().unwrap_or(0);
    let positions = positions.f_reshape([-1])?.f_clamp(0, length).in_stage("loss")?;
    mean_cross_entropy(&CrossEntropy::default(), &logits, &positions, length).in_stage("loss")
}

/// Which positions of [`of_positions`] count in a text of this length, `(batch,)`.
pub(crate) fn count_of_positions(positions: &Tensor, length: i64) -> Result<Tensor> {
    Ok(positions.f_lt(length)?.f_to_kind(Kind::Float)?)
}

/// The positions, with -100 for those beyond a text of this length.
pub(crate) fn within(positions: &Tensor, length: i64) -> Result<Tensor> {
    Ok(positions.f_masked_fill(&positions.f_ge(length)?, IGNORED)?)
}

/// `sum / count` over the rows whose label is not `ignored`.
fn mean_cross_entropy(
    cross_entropy: &CrossEntropy,
    logits: &Tensor,
    labels: &Tensor,
    ignored: i64,
) -> Result<Tensor> {
    cross_entropy.mean(logits, &labels.f_to_kind(Kind::Int64)?, ignored)
}

fn out_of_range(labels: &str, logits: &Tensor, error: Error) -> Error {
    let classes = logits.size().last().copied().unwrap_or(0);
    Error::invalid(format!("`labels` must be {labels}, int64, from 0 to {}: {error}", classes - 1))
}

/// Numeric labels in the shape of the logits.
fn numbers(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    labels.f_to_kind(Kind::Float)?.f_reshape(logits.size()).in_stage("labels")
}
