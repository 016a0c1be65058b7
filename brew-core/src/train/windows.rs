//! The windows of batches that make up optimizer steps, from one pipeline's data or drawn from several tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::communicator::Communicator;
use super::length::PerEpoch;
use super::random::TaskDraw;
use super::stream::Stream;
use super::task::Task;
use super::work::{MicroBatch, NOTHING};
use crate::batch::{Position, Wanted};
use crate::error::{Error, Result};
use crate::ranks::share;
use crate::rollout::TextRow;

/// The position in a task's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// The task's name, if there are several.
    pub(super) task: Option<String>,
    /// Its next batch.
    pub(super) position: Position,
}

/// The next batch of a run, and where it came from.
pub(super) struct NextBatch<'r> {
    /// The task's index.
    pub(super) task: usize,
    pub(super) epoch: u64,
    /// Its index in the epoch.
    pub(super) index: usize,
    /// Another rank may have it.
    batch: Option<Box<dyn MicroBatch + 'r>>,
}

impl NextBatch<'_> {
    /// The batch itself.
    ///
    /// # Errors
    /// Another rank has it.
    pub(super) fn batch(&self) -> Result<&dyn MicroBatch> {
        let other = || Error::invalid("the batch belongs to another rank");
        self.batch.as_deref().map(|batch| batch as &dyn MicroBatch).ok_or_else(other)
    }

    /// Replaces the rows of the batch.
    ///
    /// # Errors
    /// Another rank has it.
    pub(super) fn put(&mut self, texts: &[TextRow]) -> Result<()> {
        let batch = self.batch.as_deref_mut();
        batch.ok_or_else(|| Error::invalid("the batch belongs to another rank"))?.put(texts)
    }
}

/// Hands out the batches of a run, window by window: without end in a run of steps, epoch by epoch in a run
/// of epochs.
pub(super) struct Windows<'r> {
    tasks: &'r [Task<'r>],
    ranks: &'r Communicator,
    /// Batches per step.
    most: usize,
    streams: Vec<Stream<'r>>,
    draw: TaskDraw,
    /// In a run of epochs, the batches of each.
    per_epoch: Option<PerEpoch>,
    /// Batches drawn so far.
    pub(super) drawn: u64,
}

impl<'r> Windows<'r> {
    pub(super) fn new(
        tasks: &'r [Task<'r>],
        (ranks, most): (&'r Communicator, usize),
        draw: TaskDraw,
        per_epoch: Option<PerEpoch>,
    ) -> Result<Self> {
        let streams = tasks.iter().map(|task| Stream::new(&*task.work)).collect::<Result<_>>()?;
        Ok(Windows { tasks, ranks, most, streams, draw, per_epoch, drawn: 0 })
    }

    /// The batches of the next optimizer step: as many as accumulate, or fewer at the end of an epoch in a run of
    /// epochs. Those of other ranks are not made if the data can do without.
    pub(super) fn next(&mut self) -> Result<Vec<NextBatch<'r>>> {
        let mut window = Vec::new();
        while window.len() < self.most {
            window.push(self.next_batch()?);
            if self.ends_epoch()? {
                break;
            }
        }
        Ok(window)
    }

    fn next_batch(&mut self) -> Result<NextBatch<'r>> {
        let task = self.draw.task(self.drawn);
        // Which batches of a task a rank has depends on what is drawn from the other tasks.
        let share = (self.tasks.len() == 1).then(|| self.ranks.shares()).flatten();
        let (most, drawn, per_epoch) = (self.most, self.drawn, &self.per_epoch);
        let wanted = |from: &Position| Some(own(share?, most, drawn, per_epoch.as_ref(), from));
        let stream = self.streams.get_mut(task).ok_or_else(|| Error::invalid(NOTHING))?;
        loop {
            let &Position { epoch, batch: index, .. } = stream.position();
            if let Some(batch) = stream.next(wanted)? {
                self.drawn += 1;
                return Ok(NextBatch { task, epoch, index, batch });
            }
            if let Some(per_epoch) = &self.per_epoch {
                return Err(Error::invalid(format!(
                    "epoch {epoch} of the data ended after {index} batches but reported {}: a run of epochs needs data of known length that can be read repeatedly",
                    per_epoch.of(epoch)
                )));
            }
            if index == 0 {
                return Err(Error::invalid(nothing_left(self.tasks[task].name.as_deref(), epoch)));
            }
            stream.next_epoch();
        }
    }

    /// Whether the last batch ended an epoch in a run of epochs; if so, the next epoch begins. Data that
    /// yields more batches than it reported is refused, since the rest would be silently ignored.
    fn ends_epoch(&mut self) -> Result<bool> {
        let (Some(per_epoch), [stream]) = (&self.per_epoch, self.streams.as_mut_slice()) else {
            return Ok(false);
        };
        let &Position { epoch, batch: taken, .. } = stream.position();
        if (taken as u64) < per_epoch.of(epoch) {
            return Ok(false);
        }
        if stream.next(|_| None)?.is_some() {
            return Err(Error::invalid(format!(
                "epoch {epoch} of the data has more than the {taken} batches that it reported"
            )));
        }
        stream.next_epoch();
        Ok(true)
    }

    /// Resumes from each task's position, after this many drawn batches.
    pub(super) fn restore(&mut self, standings: &[Standing], drawn: u64) -> Result<()> {
        if standings.len() != self.streams.len() {
            return Err(Error::invalid(format!(
                "the checkpoint has {} tasks, the run has {}",
                standings.len(),
                self.streams.len()
            )));
        }
        for ((stream, task), standing) in self.streams.iter_mut().zip(self.tasks).zip(standings) {
            if task.name != standing.task {
                return Err(Error::invalid(format!(
                    "the checkpoint has task {:?} where the run has {:?}: give the tasks in their original order",
                    standing.task, task.name
                )));
            }
            stream.go_to(&standing.position).map_err(|error| match &standing.task {
                Some(task) => error.of_task(task),
                None => error,
            })?;
        }
        self.drawn = drawn;
        Ok(())
    }

    /// The position in each task's data.
    pub(super) fn standings(&self) -> Vec<Standing> {
        (self.tasks.iter().zip(&self.streams))
            .map(|(task, stream)| Standing { task: task.name.clone(), position: stream.position().clone() })
            .collect()
    }
}

/// Which batches of the epoch that begins or resumes here are a rank's own.
fn own(
    (rank, world_size): (usize, usize),
    most: usize,
    drawn: u64,
    per_epoch: Option<&PerEpoch>,
    from: &Position,
) -> Wanted {
    let (first, length) = (from.batch, per_epoch.map(|per_epoch| per_epoch.of(from.epoch)));
    Arc::new(move |number| {
        let (place, batches) = match length {
            // Steps begin with the epoch, and the last may be shorter.
            Some(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                (number % most, length.saturating_sub(number - number % most).min(most))
            }
            // Steps are full and may cross from one epoch to the next.
            None => {
                let number = drawn + number.saturating_sub(first) as u64;
                (usize::try_from(number % most as u64).unwrap_or(0), most)
            }
        };
        share(batches, rank, world_size).contains(&place)
    })
}

/// The error of an empty epoch: data that can be read only once, or has no rows, would keep a run of steps
/// waiting forever.
fn nothing_left(task: Option<&str>, epoch: u64) -> String {
    let of_task = task.map(|task| format!("task `{task}`: ")).unwrap_or_default();
    match epoch {
        0 => format!("{of_task}{NOTHING}"),
        _ => format!(
            "{of_task}epoch {epoch} of the data yielded no batch, but the run needs more: reduce the number of steps, or give data that can be read repeatedly"
        ),
    }
}
