//! The classes for which the teacher is known, and both sides' log-probabilities there.

use tch::Tensor;

use super::super::Features;
use super::super::logit_shapes::{one_logit, softmax_mismatches};
use super::super::logits::{CountedRows, LOG_ZERO};
use super::super::term::wide;
use crate::error::{Error, Result};
use crate::words::shape;

/// The mass of a tail below which float32 cannot tell it from 0.
const LEAST_TAIL: f64 = 1e-7;

/// The teacher's logits for the rows that count.
pub(super) enum KnownLogits {
    /// All of its logits, `(rows, classes)`.
    Dense(Tensor),
    /// Some classes of each row, `(rows, k)`, and the logsumexp of all, `(rows,)`.
    Stored { ids: Tensor, logits: Tensor, normaliser: Tensor },
}

impl KnownLogits {
    /// The rows of a teacher's side.
    pub(super) fn of(read: &Features, counted: &CountedRows, kind: tch::Kind) -> Result<Self> {
        let rows =
            |tensor: &Tensor| -> Result<Tensor> { Ok(wide(&counted.select(tensor)?)?.f_to_kind(kind)?) };
        match read.tensors.as_slice() {
            [logits] => Ok(KnownLogits::Dense(rows(logits)?)),
            [ids, logits, normaliser] => {
                let normaliser = wide(&counted.select_flat(&normaliser.f_reshape([-1])?)?)?;
                Ok(KnownLogits::Stored {
                    ids: counted.select(ids)?.f_to_kind(tch::Kind::Int64)?,
                    logits: rows(logits)?,
                    normaliser: normaliser.f_to_kind(kind)?,
                })
            }
            other => Err(Error::invalid(format!(
                "a teacher gives {} tensors of logits: either all of them, one tensor, or classes, logits and logsumexp",
                other.len()
            ))),
        }
    }
}

/// Log-probabilities of some classes, `(rows, k)`, and of the total of all others, `(rows, 1)`.
pub(super) struct Partly {
    pub(super) at: Tensor,
    /// `None` if there is no other class.
    pub(super) rest: Option<Tensor>,
}

/// The logarithms of dense logits, already divided by their temperature.
pub(super) fn of_dense(logits: &Tensor, ids: &Tensor) -> Result<Partly> {
    let all = logits.f_logsumexp([-1], true)?;
    let at = logits.f_gather(-1, ids, false)?.f_sub(&all)?.f_clamp_min(LOG_ZERO)?;
    let every = ids.size().last() >= logits.size().last();
    // The others are summed directly, not computed as 1 minus the rest: a small tail would be lost to
    // round-off.
    let rest = match every {
        true => None,
        false => {
            let others = logits.f_scatter_value(-1, ids, LOG_ZERO)?;
            Some(others.f_logsumexp([-1], true)?.f_sub(&all)?.f_clamp_min(LOG_ZERO)?)
        }
    };
    Ok(Partly { at, rest })
}

/// The log-probabilities of stored logits, at temperature 1.
pub(super) fn of_store(logits: &Tensor, normaliser: &Tensor, classes: i64) -> Result<Partly> {
    let at = logits.f_sub(&normaliser.f_unsqueeze(-1)?)?;
    if logits.size().last().copied() >= Some(classes) {
        return Ok(Partly { at, rest: None });
    }
    let known = at.f_logsumexp([-1], true)?.f_clamp_max((-LEAST_TAIL).ln_1p())?;
    let rest = known.f_expm1()?.f_neg()?.f_log()?;
    Ok(Partly { at, rest: Some(rest) })
}

/// The mismatches of both sides.
pub(super) fn mismatches(student: &Features, teacher: &Features) -> Vec<String> {
    let [ids, logits, normaliser] = teacher.tensors.as_slice() else {
        return softmax_mismatches(student, teacher);
    };
    let sizes = student.shape();
    let rows = &sizes[..sizes.len().saturating_sub(1)];
    let (of_ids, of_logits, of_normaliser) = (ids.size(), logits.size(), normaliser.size());
    let fits = matches!(sizes.len(), 2 | 3)
        && of_ids == of_logits
        && of_ids.len() == sizes.len()
        && of_ids.starts_with(rows)
        && of_normaliser == rows;
    if fits {
        return one_logit("the student's logits", &sizes).into_iter().collect();
    }
    vec![format!(
        "the student's logits are {}, the teacher's classes {}, their logits {} and the logsumexp {}: they must be (…, classes), (…, k), (…, k) and (…)",
        shape(&sizes),
        shape(&of_ids),
        shape(&of_logits),
        shape(&of_normaliser)
    )]
}
