//! Streams of batches, one epoch after another.

use super::Batch;
use crate::error::Result;

/// A stream of batches that can be walked again, one epoch after another.
///
/// brew-data implements it over Arrow data; a `Vec` of batches is one too.
pub trait Batches {
    /// What it yields.
    type Batch;

    /// Batches in every epoch, where it is known before it is walked.
    fn batches_per_epoch(&self) -> Option<usize>;

    /// Examples in every epoch, where it is known.
    fn rows(&self) -> Option<usize>;

    /// The batches of this epoch (from 0), in an order that depends on the epoch alone.
    fn epoch(&self, epoch: u64) -> Result<Box<dyn Iterator<Item = Result<Self::Batch>> + '_>>;
}

impl<B: Batch> Batches for Vec<B> {
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.len())
    }

    fn rows(&self) -> Option<usize> {
        Some(self.iter().map(Batch::rows).sum())
    }

    fn epoch(&self, _: u64) -> Result<Box<dyn Iterator<Item = Result<B>> + '_>> {
        Ok(Box::new(self.iter().map(|batch| batch.map(&mut |_, tensor| Ok(tensor.shallow_clone())))))
    }
}
