//! Streams of batches, one epoch after another, from any batch on.

use std::collections::BTreeMap;

use super::{Batch, Extreme, Processed};
use crate::error::{InStage as _, Result};
use crate::parameters::bytes_of;
use crate::vocabulary::Fingerprint;

/// The batches of an epoch, or what is left of them.
pub type Walk<'d, B> = Box<dyn Iterator<Item = Result<B>> + 'd>;

/// Batches that stand for the values of a `Vec` of them.
const SAMPLED_BATCHES: usize = 64;

/// A stream of batches that can be walked again, one epoch after another, and gone on with in the
/// middle of one.
///
/// brew-data implements it over Arrow data; a `Vec` of batches is one too. Where a run stands in a
/// stream is a [`Position`](super::Position).
pub trait Batches {
    /// What it yields.
    type Batch;

    /// Batches in every epoch, where all epochs have the same number and it is known before they are
    /// walked.
    fn batches_per_epoch(&self) -> Option<usize>;

    /// Examples in every epoch, where it is known.
    fn rows(&self) -> Option<usize>;

    /// The batches of this epoch (from 0), in an order that depends on the epoch alone.
    ///
    /// # Errors
    /// Data that cannot be read, or that does not fill the batch's columns.
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Self::Batch>>;

    /// Whether a row is another in every epoch, as augmented rows are.
    fn varies(&self) -> bool {
        false
    }

    /// Whether rows come in another order than that of the data: shuffled, or together with others of their
    /// length. A metric that finds what belongs to a row by its place refuses such batches.
    fn reorders(&self) -> bool {
        false
    }

    /// Batches in this epoch (from 0), where it is known before it is walked.
    ///
    /// Batches cut by a number of tokens are not as many in every epoch; this says how many there
    /// are.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn batches_in(&self, _epoch: u64) -> Result<Option<usize>> {
        Ok(self.batches_per_epoch())
    }

    /// The batches of this epoch from the one numbered `batch` (from 0) on; none where the epoch has no
    /// more.
    ///
    /// The same batches as [`Batches::epoch`] gives after `batch` of them. Unless a stream knows better
    /// those are made and dropped.
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

    /// The names of the classes of a column of labels, in the order of their numbers, where the data says
    /// them: a run compares them with the names that its models have.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn class_names(&self, _column: &str) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Of which vocabulary the token ids of a column are, where the data says it, as a tokenised table does: a
    /// run compares it with that of the models which read the column.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn vocabulary(&self, _column: &str) -> Result<Option<Fingerprint>> {
        Ok(None)
    }

    /// The rows with the smallest and the largest integers of each column, -100 aside, with the first -100 of
    /// each, and with the longest list; none where nobody knows them without walking the data.
    ///
    /// Before the first step they go through the models, so that a token without an embedding, a text longer
    /// than the model's positions or a label beyond the classes is found wherever it is.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn extremes(&self) -> Result<Vec<Extreme<Self::Batch>>> {
        Ok(Vec::new())
    }

    /// What the batches depend on (the data, the seed, the batch size, …) as values by name: a run that
    /// resumed under other values would not see the same batches, and is refused. A stream that says nothing
    /// here, and the function of [`Batches::processed`], are compared by their first two rows alone.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn settings(&self) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    /// The same stream with every batch put through a function before anything else sees it, which may
    /// make another type of it (TextBrewer's `batch_postprocessor`). An error names the batch.
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

    /// Their number and a hash of up to 64 of them, which lie evenly: another batch size, another order and
    /// other data are noticed, and so is a value that was changed, if it is in one of those.
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

    fn extremes(&self) -> Result<Vec<Extreme<B>>> {
        super::extreme::of_batches(self)
    }
}
