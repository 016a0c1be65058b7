//! The student's outputs for two rows: stored with each checkpoint, and compared when a run resumes.
//!
//! A model may hold state that its `parameters()` does not list, such as the running statistics of a batch
//! norm. A checkpoint then lacks that state, and the resumed student would be a different model. brew cannot
//! list the hidden state of a user's model, but its outputs reveal it.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::task::Task;
use crate::cache::{distances, largest};
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::words::numbered;

/// How far outputs may differ, relative to a tensor's largest value: other processors and thread counts round
/// differently.
const TOLERANCE: f64 = 1e-3;
const TOLERANCE_IN_LOW_PRECISION: f64 = 5e-2;

const ROWS: &str = "rows/";

/// Two rows of every task and its student's outputs for them.
pub(super) fn outputs_of(tasks: &[Task<'_>]) -> Result<Parameters> {
    let mut named = Vec::new();
    for task in tasks {
        for (name, tensor) in task.work.outputs()?.iter() {
            // The rows of all tasks come first: if any of them differs, no outputs are compared.
            let name = match (&task.name, name.strip_prefix(ROWS)) {
                (Some(task), Some(column)) => format!("{ROWS}{task}/{column}"),
                (Some(task), None) => format!("{task}/{name}"),
                (None, _) => name.to_owned(),
            };
            named.push((name, tensor.shallow_clone()));
        }
    }
    Ok(Parameters::new(named))
}

/// Compares the outputs of a resumed student with those in the checkpoint. If the rows differ, outputs cannot
/// be compared, and the error says so.
///
/// # Errors
/// Every output that differs.
pub(super) fn compare(
    then: &BTreeMap<String, Tensor>,
    now: &Parameters,
    low_precision: bool,
) -> Result<Option<String>> {
    let tolerance = if low_precision { TOLERANCE_IN_LOW_PRECISION } else { TOLERANCE };
    let mut problems = Vec::new();
    for (name, now) in now.iter() {
        let then = then.get(name).filter(|then| then.size() == now.size());
        if let Some(column) = name.strip_prefix(ROWS) {
            if !then.map_or(Ok(false), |then| equal(then, now))? {
                return Ok(Some(format!(
                    "the first two rows of the data differ from those that the run began with (`{column}`): the data \
                     has changed, or differs each time it is read",
                )));
            }
            continue;
        }
        match then {
            None => problems.push(format!("`{name}` has a different shape")),
            Some(then) => {
                let off = distance(then, now)?;
                if off > tolerance {
                    problems.push(format!("`{name}` differs by {off:.1e} of its largest value"));
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(None);
    }
    let title = "for the same two rows the student's outputs differ from when this checkpoint was written: either its code has changed, or `Model::parameters` does not list everything its outputs depend on (buffers, such as the running statistics of a batch norm, belong there: see `Parameters::with_buffers`); what the checkpoint lacks cannot be recovered: undo the code change, or fix `parameters` and start over with `.fresh()`";
    Err(Error::invalid(numbered(title, &problems)))
}

fn equal(then: &Tensor, now: &Tensor) -> Result<bool> {
    Ok(then.kind() == now.kind() && distance(then, now)? == 0.0)
}

/// The largest difference relative to the largest value; equal non-finite values on both sides count as
/// equal.
fn distance(then: &Tensor, now: &Tensor) -> Result<f64> {
    if now.numel() == 0 {
        return Ok(0.0);
    }
    let cpu = |tensor: &Tensor| tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Double);
    let (then, now) = (cpu(then)?, cpu(now)?);
    let off = distances(&then, &now)?.f_max()?.f_double_value(&[])?;
    Ok(if off == 0.0 { 0.0 } else { off / largest(&then)?.max(f64::MIN_POSITIVE) })
}
