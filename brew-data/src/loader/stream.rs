//! A user's own stream of batches, endless or of unknown length.
//!
//! To resume a run, the stream is opened again for the same epoch: at the next batch if possible, otherwise
//! at the beginning, and the batches before are made and dropped. It is the same stream only if the user's
//! function returns the same one for the same epoch.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use brew_core::Result;
use brew_core::batch::{Batch, Batches, FromColumns, Walk};

use super::prefetch::{Jobs, Prefetched};
use super::rebatch::Rebatched;
use crate::error::Error;

/// A user's batches, opened for an epoch.
type OpenedStream<B> = Box<dyn Iterator<Item = Result<B>> + Send>;

/// Opens a stream for an epoch, at a given batch if possible.
enum Open<B> {
    AtTheBeginning(Box<dyn Fn(u64) -> Result<OpenedStream<B>> + Send + Sync>),
    Anywhere(Box<dyn Fn(u64, usize) -> Result<OpenedStream<B>> + Send + Sync>),
}

/// A stream of an unknown number of batches: endless data, a socket, a generator.
///
/// For training by a number of steps; epoch 0 is then the only one. Batches are prefetched on a separate
/// thread. A run that needs no more batches does not wait for the source: a thread still waiting for the next
/// batch ends, and drops the iterator, once the source answers.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::batch::Position;
/// use brew_data::Stream;
///
/// # fn main() -> Result<()> {
/// let counted = Stream::from_anywhere("counter", |_epoch, batch| {
///     Ok((batch as i64..).map(|number| Ok((Tensor::from_slice(&[number]),))))
/// });
/// let mut walk = Position::start(&counted)?.walk(&counted)?;
/// walk.next();
/// let next = walk.state().walk(&counted)?.next().transpose()?;
/// assert_eq!(next.map(|(number,)| number), Some(Tensor::from_slice(&[1_i64])));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Stream<B> {
    name: PathBuf,
    open: Open<B>,
    settings: BTreeMap<String, String>,
}

impl<B> fmt::Debug for Stream<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<B: Batch> Stream<B> {
    /// The batches that `open` returns for an epoch (from 0); errors call the stream `name`.
    ///
    /// It cannot be opened in the middle: to resume a run, earlier batches are made and dropped.
    pub fn new<I>(name: impl AsRef<Path>, open: impl Fn(u64) -> Result<I> + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Result<B>> + Send + 'static,
    {
        let open = move |epoch| Ok(Box::new(open(epoch)?) as OpenedStream<B>);
        Self::of(name.as_ref(), Open::AtTheBeginning(Box::new(open)))
    }

    /// The batches that `open` returns for an epoch, starting at a given batch (both from 0).
    pub fn from_anywhere<I>(
        name: impl AsRef<Path>,
        open: impl Fn(u64, usize) -> Result<I> + Send + Sync + 'static,
    ) -> Self
    where
        I: Iterator<Item = Result<B>> + Send + 'static,
    {
        let open = move |epoch, batch| Ok(Box::new(open(epoch, batch)?) as OpenedStream<B>);
        Self::of(name.as_ref(), Open::Anywhere(Box::new(open)))
    }

    fn of(name: &Path, open: Open<B>) -> Self {
        let settings = BTreeMap::from([("stream".to_owned(), name.display().to_string())]);
        Stream { name: name.to_owned(), open, settings }
    }
}

impl<B: FromColumns> Stream<B> {
    /// Batches of `size` rows from the record batches, of any size, that `open` returns for an epoch.
    ///
    /// Columns are read as by [`Loader`](crate::Loader); an error names the first row of its batch and counts
    /// rows from there. The last batch may be shorter.
    pub fn of_rows<I>(
        name: impl AsRef<Path>,
        size: usize,
        open: impl Fn(u64) -> Result<I> + Send + Sync + 'static,
    ) -> Self
    where
        I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
    {
        let path: Arc<Path> = name.as_ref().into();
        let rows = path.clone();
        let open = move |epoch| Ok(Rebatched::new(rows.clone(), size, 0, open(epoch)?));
        Self::new(&path, open).sized(size)
    }

    /// As [`Stream::of_rows`], for a stream that can be opened at any row of an epoch (both from 0).
    pub fn of_rows_from_anywhere<I>(
        name: impl AsRef<Path>,
        size: usize,
        open: impl Fn(u64, usize) -> Result<I> + Send + Sync + 'static,
    ) -> Self
    where
        I: Iterator<Item = Result<RecordBatch>> + Send + 'static,
    {
        let path: Arc<Path> = name.as_ref().into();
        let rows = path.clone();
        let open = move |epoch, batch: usize| {
            let first = batch.saturating_mul(size);
            Ok(Rebatched::new(rows.clone(), size, first, open(epoch, first)?))
        };
        Self::from_anywhere(&path, open).sized(size)
    }

    fn sized(mut self, size: usize) -> Self {
        self.settings.insert("batch size".to_owned(), size.to_string());
        self
    }
}

impl<B: Batch> Batches for Stream<B> {
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        None
    }

    fn rows(&self) -> Option<usize> {
        None
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, B>> {
        self.epoch_from(epoch, 0)
    }

    fn epoch_from(&self, epoch: u64, batch: usize) -> Result<Walk<'_, B>> {
        let (batches, skipped) = match &self.open {
            Open::AtTheBeginning(open) => (open(epoch)?, batch),
            Open::Anywhere(open) => (open(epoch, batch)?, 0),
        };
        let (name, first) = (self.name.clone(), batch - skipped);
        let panicked = move |number, text: &str| {
            let message = format!("batch {} of the stream could not be made: panic: {text}", first + number);
            brew_core::Error::from(Error::format(&name, message))
        };
        let batches = Prefetched::start(Jobs::Foreign, batches, 1, |_, batch| Ok(batch), panicked);
        let mut batches = batches.map_err(|error| brew_core::Error::from(Error::io(&self.name)(error)))?;
        for skipped in batches.by_ref().take(skipped) {
            skipped?;
        }
        Ok(Box::new(batches))
    }

    fn settings(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.settings.clone())
    }
}
