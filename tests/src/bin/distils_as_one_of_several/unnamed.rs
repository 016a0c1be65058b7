//! Batches that say nothing of what they depend on, as a user's own may.

use brew_core::batch::{Batches, Walk};
use brew_core::prelude::*;
use tests::Sentence;

/// Batches whose number of rows and whose settings nobody knows.
pub(crate) struct Unnamed(pub(crate) Vec<Sentence>);

impl Batches for Unnamed {
    type Batch = Sentence;

    fn batches_per_epoch(&self) -> Option<usize> {
        self.0.batches_per_epoch()
    }

    fn rows(&self) -> Option<usize> {
        None
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Sentence>> {
        self.0.epoch(epoch)
    }
}
