//! Whether labels are a copy of what the model reads, as those of causal language models often are:
//! transformers' models are given `labels = input_ids` and shift them by themselves.
//!
//! Compared with the logits of its own position such a label is no measure of anything.

use tch::{Kind, Tensor};

use crate::batch::Batch;
use crate::error::Result;
use crate::role::counts;

/// As few equal labels may be chance: a masked language model keeps one token in ten as it is.
const FEWEST: i64 = 4;

/// What is known of some labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inputs {
    /// Too few labels count to tell.
    Unknown,
    /// They are other numbers than any column that the model could read.
    No,
    /// Every label that counts is that of this column at its place.
    Copy(&'static str),
}

impl Inputs {
    pub(super) fn column(self) -> Option<&'static str> {
        match self {
            Inputs::Copy(column) => Some(column),
            Inputs::Unknown | Inputs::No => None,
        }
    }

    /// What is known of all batches: one that is no copy decides.
    pub(super) fn of_all(parts: impl Iterator<Item = Inputs>) -> Inputs {
        parts.fold(Inputs::Unknown, |known, part| match (known, part) {
            (Inputs::No, _) | (_, Inputs::No) => Inputs::No,
            (Inputs::Copy(column), _) | (_, Inputs::Copy(column)) => Inputs::Copy(column),
            _ => Inputs::Unknown,
        })
    }
}

/// Holds the labels of one head, `(batch, length)`, against the columns of integers of that shape. A column
/// that is the labels themselves is what the model reads where it is named `input_ids`, or where the batch
/// has no other but masks.
pub(super) fn input_of<B: Batch>(batch: &B, labels: &[Tensor]) -> Result<Inputs> {
    let [labels] = labels else { return Ok(Inputs::No) };
    if labels.dim() != 2 || labels.f_kind()? != Kind::Int64 {
        return Ok(Inputs::No);
    }
    let counts = counts(labels)?;
    if counts.f_sum(Kind::Int64)?.f_int64_value(&[])? < FEWEST {
        return Ok(Inputs::Unknown);
    }
    let mut others = false;
    let mut itself = None;
    for (name, column) in batch.tensors() {
        if column.size() != labels.size() || column.f_kind()? != Kind::Int64 {
            // Features of tokens, or of images, may be what the model reads.
            others |= column.dim() > 1 && column.size() != labels.size();
            continue;
        }
        if name != "input_ids" && column.data_ptr() == labels.data_ptr() {
            itself = Some(name);
            continue;
        }
        if column.f_max()?.f_int64_value(&[])? <= 1 && column.f_min()?.f_int64_value(&[])? >= 0 {
            continue;
        }
        others = true;
        let equal = column.f_eq_tensor(labels)?.f_logical_or(&counts.f_logical_not()?)?;
        if equal.f_all()?.f_int64_value(&[])? != 0 {
            return Ok(Inputs::Copy(name));
        }
    }
    Ok(match itself {
        Some(name) if !others && name != "labels" => Inputs::Copy(name),
        _ => Inputs::No,
    })
}
