//! The batches of one task, epoch after epoch.

use super::work::{MicroBatch, SomeBatches, Work};
use crate::batch::{Position, Wanted};
use crate::error::Result;

/// A position in the data of a task, and the batches from there on.
pub(super) struct Stream<'r> {
    work: &'r (dyn Work + 'r),
    position: Position,
    /// The remaining batches of this epoch, once it has begun.
    batches: Option<SomeBatches<'r>>,
}

impl<'r> Stream<'r> {
    /// The batches from the first epoch on.
    ///
    /// # Errors
    /// Data that fails to report what it depends on.
    pub(super) fn new(work: &'r (dyn Work + 'r)) -> Result<Self> {
        Ok(Stream { work, position: work.start()?, batches: None })
    }

    /// The next batch of this epoch, or `Some(None)` in place of one that is not wanted; `None` at the end of the epoch.
    /// `wanted` decides when the epoch begins.
    pub(super) fn next(
        &mut self,
        wanted: impl FnOnce(&Position) -> Option<Wanted>,
    ) -> Result<Option<Option<Box<dyn MicroBatch + 'r>>>> {
        let batches = match &mut self.batches {
            Some(batches) => batches,
            none => none.insert(self.work.walk(&self.position, wanted(&self.position).as_ref())?),
        };
        let next = batches.next().transpose()?;
        self.position.batch += usize::from(next.is_some());
        Ok(next)
    }

    /// Continues with the next epoch.
    pub(super) fn next_epoch(&mut self) {
        (self.position, self.batches) = (self.position.next_epoch(), None);
    }

    /// The position of the next batch.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Resumes from a position that was taken in the same data.
    ///
    /// # Errors
    /// Data that has changed, with every difference.
    pub(super) fn go_to(&mut self, position: &Position) -> Result<()> {
        self.work.check(position)?;
        (self.position, self.batches) = (position.clone(), None);
        Ok(())
    }
}
