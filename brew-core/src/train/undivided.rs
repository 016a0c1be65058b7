//! What several ranks cannot train yet: refused by name, so that no run is silently wrong.

use tch::Device;

use super::communicator::Communicator;
use super::settings::Settings;
use super::task::{Task, student_of};
use crate::error::{Error, Result};

/// Refuses before the first step what ranks cannot divide.
pub(super) fn refuse(ranks: &Communicator, tasks: &[Task<'_>]) -> Result<()> {
    if ranks.alone() {
        return Ok(());
    }
    if tasks.iter().any(|task| task.work.executor().plan().rollout().is_some()) {
        return Err(Error::invalid(format!(
            "the student writes the rows of a step (the plan has a rollout), which {} ranks cannot divide yet: start the run alone",
            ranks.world_size()
        )));
    }
    let device = student_of(tasks).device();
    if device == Device::Cpu {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the student is on {device:?}, and {} ranks exchange tensors on the CPU only; GPUs are not supported yet: start the run alone",
        ranks.world_size()
    )))
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
