//! What several ranks cannot train yet: refused by name, so that no run is silently wrong.

use tch::Device;

use super::communicator::Communicator;
use super::settings::Settings;
use super::task::{Task, student_of};
use crate::error::{Error, Result};
use crate::words::numbered;

/// Refuses before the first step what ranks cannot divide.
pub(super) fn refuse(ranks: &Communicator, tasks: &[Task<'_>]) -> Result<()> {
    if ranks.alone() {
        return Ok(());
    }
    let mut problems = carried(tasks)?;
    let device = student_of(tasks).device();
    if device != Device::Cpu {
        problems.push(format!("the student is on {device:?}, and ranks exchange tensors on the CPU only"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    let title = format!("this run is not supported yet on {} ranks: start it alone", ranks.world_size());
    Err(Error::invalid(numbered(&title, &problems)))
}

/// The losses that carry state from step to step: each rank would see only the batches of its share.
pub(super) fn carried(tasks: &[Task<'_>]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for task in tasks {
        let state = task.work.executor().carried()?;
        let names: Vec<String> =
            state.iter().map(|(name, _)| format!("`{}`", task.full_name(name))).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            problems.push(format!(
                "a loss carries state from step to step, which would differ between ranks: {names}"
            ));
        }
    }
    Ok(problems)
}

/// A note if some ranks have nothing to do.
pub(super) fn idle(ranks: &Communicator, settings: &Settings<'_>) -> Option<String> {
    let (batches, world_size) = (settings.accumulation, ranks.world_size());
    if ranks.alone() || batches.is_multiple_of(world_size) {
        return None;
    }
    let text = if batches < world_size {
        format!("so {} of {world_size} ranks have nothing to do", world_size - batches)
    } else {
        format!("which {world_size} ranks cannot divide evenly")
    };
    Some(format!(
        "each step has {batches} batches (`.accumulate({batches})`), {text}: use a multiple of {world_size}, with smaller batches if the step is to have as many rows as now"
    ))
}
