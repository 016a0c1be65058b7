//! Detects labels that are a copy of the model's input, as is common for causal language models:
//! transformers' models receive `labels = input_ids` and shift the labels themselves.
//!
//! Comparing such a label with the logits of its own position measures nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::batch::Batch;
use crate::error::Result;
use crate::role::counts;

/// Fewer equal labels than this may be chance: a masked language model leaves one token in ten unchanged.
const FEWEST: i64 = 4;

/// What some labels show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Inputs {
    /// Too few labels count to tell.
    Unknown,
    /// The labels differ from every column that the model could read.
    No,
    /// Every label that counts equals this column at the same position.
    Copy(Cow<'static, str>),
}

impl Inputs {
    pub(super) fn column(&self) -> Option<&str> {
        match self {
            Inputs::Copy(column) => Some(column),
            Inputs::Unknown | Inputs::No => None,
        }
    }

    /// Combines the results of all batches: one batch that is not a copy decides.
    pub(super) fn of_all(parts: impl Iterator<Item = Inputs>) -> Inputs {
        parts.fold(Inputs::Unknown, |known, part| match (known, part) {
            (Inputs::No, _) | (_, Inputs::No) => Inputs::No,
            (Inputs::Copy(column), _) | (_, Inputs::Copy(column)) => Inputs::Copy(column),
            _ => Inputs::Unknown,
        })
    }
}

/// Compares the labels of one head, `(batch, length)`, with the integer columns of that shape. A column that
/// is the labels themselves counts as the model's input if it is named `input_ids`, or if all other columns
/// of the batch are masks.
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
            // The model may instead read features of tokens or images.
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
            return Ok(Inputs::Copy(name.into()));
        }
    }
    Ok(match itself {
        Some(name) if !others && name != "labels" => Inputs::Copy(name.into()),
        _ => Inputs::No,
    })
}
