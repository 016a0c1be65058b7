//! Batches without an end, or whose end nobody knows: a stream of the user's own.
//!
//! What is promised of going on with a run: the stream is opened for the same epoch again, at the next
//! batch where it can be opened there, else at its beginning, and the batches before are made and dropped.
//! It is the same stream only if the user's function gives the same one for the same epoch.

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

/// Batches of the user's own making, opened for an epoch.
type OpenedStream<B> = Box<dyn Iterator<Item = Result<B>> + Send>;

/// Opens a stream for an epoch, at a batch of it where that is possible.
enum Open<B> {
    AtTheBeginning(Box<dyn Fn(u64) -> Result<OpenedStream<B>> + Send + Sync>),
    Anywhere(Box<dyn Fn(u64, usize) -> Result<OpenedStream<B>> + Send + Sync>),
}

/// A stream of batches of which nobody knows how many there are: endless data, a socket, a generator.
///
/// For training by a number of steps, in which case epoch 0 is all there is. Batches are made on a thread
/// of their own, a few ahead. A run that needs no more batches does not wait for the source: where it is
/// still waiting for the next one, the thread stays behind, and ends, and drops the iterator, once the source
/// answers.
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
    /// Batches that `open` gives for an epoch (from 0); `name` is what errors call it.
    ///
    /// It cannot be opened in the middle: to go on with a run, what came before is made and dropped.
    pub fn new<I>(name: impl AsRef<Path>, open: impl Fn(u64) -> Result<I> + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Result<B>> + Send + 'static,
    {
        let open = move |epoch| Ok(Box::new(open(epoch)?) as OpenedStream<B>);
        Self::of(name.as_ref(), Open::AtTheBeginning(Box::new(open)))
    }

    /// Batches that `open` gives for an epoch from a batch of it on (both from 0).
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
    /// Batches of `size` rows out of the record batches, of any sizes, that `open` gives for an epoch.
    ///
    /// What is said of columns at [`Loader`](crate::Loader) holds; an error counts rows from the first of
    /// its batch, which it names. A last batch may be shorter.
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

    /// As [`Stream::of_rows`], of a stream that can be opened at any row of an epoch (both from 0).
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
