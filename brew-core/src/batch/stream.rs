//! Streams of batches, epoch after epoch, starting from any batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Batch, Extreme, Processed};
use crate::error::{InStage as _, Result};
use crate::parameters::bytes_of;
use crate::vocabulary::Fingerprint;

/// The batches of an epoch, or the remaining ones.
pub type Walk<'d, B> = Box<dyn Iterator<Item = Result<B>> + 'd>;

/// Whether a batch of an epoch, by its number from 0, is to be made.
pub type Wanted = Arc<dyn Fn(usize) -> bool + Send + Sync>;

/// The number of batches that are hashed to identify a `Vec` of batches.
const SAMPLED_BATCHES: usize = 64;

/// A stream of batches that can be read epoch after epoch and resumed in the middle of one.
///
/// brew-data implements it for Arrow data; a `Vec` of batches is a stream too. A run's place in a stream is a
/// [`Position`](super::Position).
pub trait Batches {
    /// The type of its batches.
    type Batch;

    /// Batches per epoch, if all epochs have the same number and it is known in advance.
    fn batches_per_epoch(&self) -> Option<usize>;

    /// Examples per epoch, if known.
    fn rows(&self) -> Option<usize>;

    /// The batches of this epoch (from 0), in an order that depends only on the epoch.
    ///
    /// # Errors
    /// Data that cannot be read, or that does not fill the batch's columns.
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Self::Batch>>;

    /// Whether rows differ from epoch to epoch, as augmented and masked rows do.
    fn varies(&self) -> bool {
        false
    }

    /// Whether rows come in a different order than in the data: shuffled, or bucketed by length. A metric that
    /// looks rows up by their position refuses such batches. A stream that shuffles must say so here.
    fn reorders(&self) -> bool {
        false
    }

    /// Batches in this epoch (from 0), if known in advance.
    ///
    /// If batches are cut by a number of tokens, their number differs between epochs; this method returns it.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn batches_in(&self, _epoch: u64) -> Result<Option<usize>> {
        Ok(self.batches_per_epoch())
    }

    /// The batches of this epoch from number `batch` (from 0) on; empty if the epoch has no more.
    ///
    /// These are the batches that [`Batches::epoch`] yields after the first `batch`. The default
    /// implementation makes the skipped batches and drops them.
    ///
    /// # Errors
    /// Those of [`Batches::epoch`]; an error in a batch that is skipped.
    fn epoch_from(&self, epoch: u64, batch: usize) -> Result<Walk<'_, Self::Batch>> {
        let mut batches = self.epoch(epoch)?;
        for skipped in batches.by_ref().take(batch) {
            skipped?;
        }
        Ok(batches)
    }

    /// Like [`Batches::epoch_from`], but makes only the batches that are `wanted`; `None` stands for each of the others.
    /// One of several [ranks](crate::ranks) takes its share this way.
    ///
    /// Returns `None`, like the default implementation, if the stream has to make all batches anyway: the others are then
    /// made and dropped.
    ///
    /// # Errors
    /// Those of [`Batches::epoch_from`].
    fn epoch_part(
        &self,
        _epoch: u64,
        _batch: usize,
        _wanted: &Wanted,
    ) -> Result<Option<Walk<'_, Option<Self::Batch>>>> {
        Ok(None)
    }

    /// The class names of a label column, in the order of their numbers, if the data has them: a run compares
    /// them with its models' class names.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn class_names(&self, _column: &str) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// The vocabulary of a column's token ids, if the data states it, as a tokenised table does: a run compares
    /// it with the vocabulary of the models that read the column.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn vocabulary(&self, _column: &str) -> Result<Option<Fingerprint>> {
        Ok(None)
    }

    /// The rows with each column's smallest and largest integers other than -100, with its first -100, and
    /// with its longest list; empty if finding them would require reading the data.
    ///
    /// Before the first step the models run on these rows, so that a token without an embedding, a text
    /// longer than the model's positions or a label out of range is found anywhere in the data.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn extremes(&self) -> Result<Vec<Extreme<Self::Batch>>> {
        Ok(Vec::new())
    }

    /// Everything that the batches depend on (data, seed, batch size, …) as named values: a run that resumed
    /// with other values would see different batches, and is refused. A stream that returns nothing here is
    /// compared only by its first two rows, and so is the function of [`Batches::processed`].
    ///
    /// # Errors
    /// Data that cannot be read.
    fn settings(&self) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    /// The same stream with a function applied to every batch before anything else sees it; it may change the
    /// batch's type (TextBrewer's `batch_postprocessor`). An error names the batch.
    ///
    /// ```
    /// use brew_core::prelude::*;
    ///
    /// let scores = vec![(Tensor::from_slice(&[1.0, 2.0]),)];
    /// let halved = scores.processed(|(scores,)| Ok((scores.f_div_scalar(2.0)?,)));
    /// let first = halved.epoch(0)?.next().transpose()?;
    /// assert_eq!(first, Some((Tensor::from_slice(&[0.5, 1.0]),)));
    /// # Ok::<(), Error>(())
    /// ```
    fn processed<B, F>(self, process: F) -> Processed<Self, F>
    where
        Self: Sized,
        F: Fn(Self::Batch) -> Result<B>,
    {
        Processed { batches: self, process }
    }
}

impl<B: Batch> Batches for Vec<B> {
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.len())
    }

    fn rows(&self) -> Option<usize> {
        Some(self.iter().map(Batch::rows).sum())
    }

    /// The number of batches and a hash of up to 64 evenly spaced ones: detects a different batch size, order
    /// or data set, and a changed value if it lies in one of those batches.
    fn settings(&self) -> Result<BTreeMap<String, String>> {
        let mut hasher = blake3::Hasher::new();
        let sampled = self.len().min(SAMPLED_BATCHES);
        for batch in (0..sampled).filter_map(|index| self.get(index * self.len() / sampled)) {
            for (name, tensor) in batch.tensors() {
                hasher.update(name.as_bytes());
                hasher.update(format!("{:?}{:?}", tensor.kind(), tensor.size()).as_bytes());
                hasher.update(&bytes_of(tensor, tensor.kind()).in_stage(name)?.1);
            }
        }
        let settings = [
            ("batches", self.len().to_string()),
            ("data", hasher.finalize().to_hex()[..32].to_owned()),
            ("rows", self.iter().map(Batch::rows).sum::<usize>().to_string()),
        ];
        Ok(settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, B>> {
        self.epoch_from(epoch, 0)
    }

    fn epoch_from(&self, _: u64, batch: usize) -> Result<Walk<'_, B>> {
        let batches = self.iter().skip(batch);
        Ok(Box::new(batches.map(|batch| batch.map(&mut |_, tensor| Ok(tensor.shallow_clone())))))
    }

    fn epoch_part(&self, _: u64, batch: usize, wanted: &Wanted) -> Result<Option<Walk<'_, Option<B>>>> {
        let (batches, wanted) = (self.iter().enumerate().skip(batch), Arc::clone(wanted));
        let copy = |batch: &B| batch.map(&mut |_, tensor| Ok(tensor.shallow_clone()));
        Ok(Some(Box::new(batches.map(move |(index, batch)| wanted(index).then(|| copy(batch)).transpose()))))
    }

    fn extremes(&self) -> Result<Vec<Extreme<B>>> {
        super::extreme::of_batches(self)
    }
}
