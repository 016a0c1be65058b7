//! Probability shift: a teacher that is wrong about a label is put right before it is learned from.

use tch::Tensor;

use crate::error::{Error, Result};

/// The logits with each row's highest score exchanged with that of its label.
///
/// `logits` are `(batch, classes)` or `(batch, length, classes)`, `labels` are `(batch,)` or
/// `(batch, length)`, int64. A row whose label is negative stays as it is.
pub(super) fn to_labels(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    one_label_a_row(logits, labels, "a probability shift")?;
    if logits.size().last() == Some(&1) {
        return Err(Error::invalid(
            "a probability shift exchanges scores of classes, and the teacher's logits have one: leave it out",
        ));
    }
    let label = labels.f_clamp_min(0)?.f_unsqueeze(-1)?;
    let top = logits.f_argmax(-1, true)?;
    let (at_top, at_label) = (logits.f_gather(-1, &top, false)?, logits.f_gather(-1, &label, false)?);
    let shifted = logits.f_scatter(-1, &top, &at_label)?.f_scatter(-1, &label, &at_top)?;
    Ok(shifted.f_where_self(&labels.f_ge(0)?.f_unsqueeze(-1)?, logits)?)
}

/// Refuses labels of another shape than the rows of the logits.
pub(super) fn one_label_a_row(logits: &Tensor, labels: &Tensor, what: &str) -> Result<()> {
    let (shape, found) = (logits.size(), labels.size());
    if shape.split_last().is_some_and(|(_, rows)| rows == found) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the student's `labels` are {}, the teacher's logits {}: {what} needs one label a row",
        crate::words::shape(&found),
        crate::words::shape(&shape)
    )))
}
