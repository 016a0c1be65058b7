//! Where the loop's batches come from: one pipeline's data, or that of several tasks, drawn in turn.

use serde::{Deserialize, Serialize};

use super::random::Draw;
use super::work::{MicroBatch, NOTHING, Walk, Work};
use crate::error::{Error, Result};

/// A pipeline at work, with the name of its task where there are several.
pub(super) struct Named<'r> {
    pub(super) task: Option<String>,
    pub(super) work: Box<dyn Work + 'r>,
}

impl Named<'_> {
    /// A name of the plan under the task's own.
    pub(super) fn name(&self, of_plan: &str) -> String {
        match &self.task {
            Some(task) => format!("{task}/{of_plan}"),
            None => of_plan.to_owned(),
        }
    }
}

/// Where the data of a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The task's name, where there are several.
    pub(super) task: Option<String>,
    /// The epoch of its data, from 0.
    pub(super) epoch: u64,
    /// How many batches of it were taken.
    pub(super) batches: u64,
}

/// A batch that was drawn, and where it came from.
pub(super) struct Drawn<'r> {
    /// The task's index.
    pub(super) task: usize,
    pub(super) epoch: u64,
    /// Its index in the epoch.
    pub(super) index: u64,
    pub(super) batch: Box<dyn MicroBatch + 'r>,
}

/// Batches without end, or in a run of epochs up to the end of each.
pub(super) struct Source<'r> {
    tasks: &'r [Named<'r>],
    walks: Vec<Box<dyn Walk<'r> + 'r>>,
    draw: Draw,
    /// In a run of epochs, the batches of each.
    per_epoch: Option<u64>,
    /// Batches drawn so far.
    pub(super) drawn: u64,
}

impl<'r> Source<'r> {
    pub(super) fn new(tasks: &'r [Named<'r>], draw: Draw, per_epoch: Option<u64>) -> Self {
        let walks = tasks.iter().map(|named| named.work.walk()).collect();
        Source { tasks, walks, draw, per_epoch, drawn: 0 }
    }

    /// The batches of the next optimizer step: so many, or fewer where the epoch of a run of epochs ends.
    pub(super) fn window(&mut self, most: usize) -> Result<Vec<Drawn<'r>>> {
        let left = self.per_epoch.map(|per_epoch| per_epoch - self.drawn % per_epoch);
        let count = left.map_or(most, |left| usize::try_from(left).unwrap_or(most).min(most));
        let window = (0..count).map(|_| self.next()).collect::<Result<Vec<_>>>()?;
        if let Some(per_epoch) = self.per_epoch.filter(|per_epoch| self.drawn.is_multiple_of(*per_epoch)) {
            self.end_epoch(per_epoch)?;
        }
        Ok(window)
    }

    fn next(&mut self) -> Result<Drawn<'r>> {
        let task = self.draw.task(self.drawn);
        let walk = self.walks.get_mut(task).ok_or_else(|| Error::invalid(NOTHING))?;
        loop {
            let (epoch, index) = walk.place();
            if let Some(batch) = walk.next()? {
                self.drawn += 1;
                return Ok(Drawn { task, epoch, index, batch });
            }
            if let Some(per_epoch) = self.per_epoch {
                return Err(Error::invalid(format!(
                    "epoch {epoch} of the data ended after {index} batches, where it says that each has {per_epoch}: the length of a run of epochs must be known"
                )));
            }
            if index == 0 {
                return Err(Error::invalid(nothing_left(self.tasks[task].task.as_deref(), epoch)));
            }
            walk.next_epoch();
        }
    }

    /// Data that goes on where it said that it ends would be left out without a word.
    fn end_epoch(&mut self, per_epoch: u64) -> Result<()> {
        for walk in &mut self.walks {
            if walk.next()?.is_some() {
                let (epoch, _) = walk.place();
                return Err(Error::invalid(format!(
                    "epoch {epoch} of the data has more than the {per_epoch} batches that it says each has"
                )));
            }
            walk.next_epoch();
        }
        Ok(())
    }

    /// Where the data of each task stands.
    pub(super) fn positions(&self) -> Vec<Position> {
        (self.tasks.iter().zip(&self.walks))
            .map(|(named, walk)| {
                let (epoch, batches) = walk.place();
                Position { task: named.task.clone(), epoch, batches }
            })
            .collect()
    }
}

/// A stream that can be walked only once, or data without rows, would keep a run of steps waiting for ever.
fn nothing_left(task: Option<&str>, epoch: u64) -> String {
    let of_task = task.map(|task| format!("task `{task}`: ")).unwrap_or_default();
    match epoch {
        0 => format!("{of_task}{NOTHING}"),
        _ => format!(
            "{of_task}epoch {epoch} of the data gave no batch: the data can be walked {epoch} times only, and the run needs more; ask for fewer steps, or give data that can be walked again"
        ),
    }
}
