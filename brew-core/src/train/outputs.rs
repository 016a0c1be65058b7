//! The student's outputs for two rows: stored with each checkpoint and compared when a run resumes, and compared between
//! ranks.
//!
//! A model may hold state that its `parameters()` does not list, such as the running statistics of a batch
//! norm. A checkpoint then lacks that state, and the resumed student would be a different model; so would the student of
//! each rank. brew cannot list the hidden state of a user's model, but its outputs reveal it.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::communicator::Communicator;
use super::task::Task;
use crate::cache::{distances, largest};
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::words::numbered;

/// How far outputs may differ, relative to a tensor's largest value: other processors and thread counts round
/// differently.
const TOLERANCE: f64 = 1e-3;
const TOLERANCE_IN_LOW_PRECISION: f64 = 5e-2;

/// Begins the names of the rows' columns.
pub(super) const ROWS: &str = "rows/";

/// What it means that outputs differ.
const SINCE_THE_CHECKPOINT: &str = "for the same two rows the student's outputs differ from when this checkpoint was written: either its code has changed, or `Model::parameters` does not list everything its outputs depend on (buffers, such as the running statistics of a batch norm, belong there: see `Parameters::with_buffers`); what the checkpoint lacks cannot be recovered: undo the code change, or fix `parameters` and start over with `.fresh()`";
const BETWEEN_RANKS: &str = "for the same two rows the student's outputs differ from those of rank 0, though the weights are the same: they depend on something that `Model::parameters` does not list, such as buffers that change in training or numbers drawn at the start; make it the same on all ranks, or start the run alone";

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
    compare_with(SINCE_THE_CHECKPOINT, then, now, low_precision)
}

/// Refuses students whose outputs differ between ranks, whatever `Model::parameters` lists; `own` are this rank's.
///
/// # Errors
/// Every output that differs from rank 0's, on all ranks; those of the forward pass.
pub(super) fn compare_over_ranks(
    ranks: &Communicator,
    doing: &str,
    own: Result<Parameters>,
    low_precision: bool,
) -> Result<()> {
    if ranks.alone() {
        return Ok(());
    }
    let (own, of_rank_0) = ranks.agree(doing, own.and_then(|own| Ok((numbers(&own)?, numbers(&own)?))))?;
    let (names, mut of_rank_0): (Vec<String>, Vec<Tensor>) = of_rank_0.into_iter().unzip();
    ranks.receive(&mut of_rank_0)?;
    let of_rank_0 = names.into_iter().zip(of_rank_0).collect();
    let compared = compare_with(BETWEEN_RANKS, &of_rank_0, &Parameters::new(own), low_precision);
    ranks.agree(doing, compared.map(drop))
}

/// Copies of the outputs that ranks can exchange, whatever their dtype and device; the rows are compared by their hash.
fn numbers(outputs: &Parameters) -> Result<Vec<(String, Tensor)>> {
    let outputs = outputs.iter().filter(|(name, _)| !name.starts_with(ROWS));
    let copied = outputs.map(|(name, tensor)| {
        let tensor = on_cpu(tensor)?;
        let mut copy = tensor.f_empty_like()?;
        copy.f_copy_(&tensor)?;
        Ok((name.to_owned(), copy))
    });
    copied.collect()
}

fn compare_with(
    title: &str,
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
    Err(Error::invalid(numbered(title, &problems)))
}

fn equal(then: &Tensor, now: &Tensor) -> Result<bool> {
    Ok(then.kind() == now.kind() && distance(then, now)? == 0.0)
}

fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?)
}

/// The largest difference relative to the largest value; equal non-finite values on both sides count as
/// equal.
fn distance(then: &Tensor, now: &Tensor) -> Result<f64> {
    if now.numel() == 0 {
        return Ok(0.0);
    }
    let (then, now) = (on_cpu(then)?, on_cpu(now)?);
    let off = distances(&then, &now)?.f_max()?.f_double_value(&[])?;
    Ok(if off == 0.0 { 0.0 } else { off / largest(&then)?.max(f64::MIN_POSITIVE) })
}
