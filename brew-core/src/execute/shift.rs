//! Probability shift: corrects a teacher that is wrong about a label before the student learns from it.

use tch::Tensor;

use crate::error::{Error, Result};

/// The logits with each row's highest score swapped with the score of its label.
///
/// `logits` are `(batch, classes)` or `(batch, length, classes)`, `labels` are `(batch,)` or `(batch,
/// length)`, int64. A row with a negative label is unchanged.
pub(super) fn to_labels(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    one_label_a_row(logits, labels, "a probability shift")?;
    if logits.size().last() == Some(&1) {
        return Err(Error::invalid(
            "a probability shift swaps the scores of classes, but the teacher's logits have only one: remove the shift",
        ));
    }
    let label = labels.f_clamp_min(0)?.f_unsqueeze(-1)?;
    let top = logits.f_argmax(-1, true)?;
    let (at_top, at_label) = (logits.f_gather(-1, &top, false)?, logits.f_gather(-1, &label, false)?);
    let shifted = logits.f_scatter(-1, &top, &at_label)?.f_scatter(-1, &label, &at_top)?;
    Ok(shifted.f_where_self(&labels.f_ge(0)?.f_unsqueeze(-1)?, logits)?)
}

/// Refuses labels whose shape is not that of the logits' rows.
pub(super) fn one_label_a_row(logits: &Tensor, labels: &Tensor, what: &str) -> Result<()> {
    let (shape, found) = (logits.size(), labels.size());
    if shape.split_last().is_some_and(|(_, rows)| rows == found) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the student's `labels` are {}, the teacher's logits are {}: {what} needs one label per row",
        crate::words::shape(&found),
        crate::words::shape(&shape)
    )))
}
