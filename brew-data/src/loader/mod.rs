//! From rows to typed batches: order, columns to tensors, and threads that work ahead.

mod check;
mod column;
mod cut;
mod dtype;
mod extremes;
mod make;
pub(crate) mod order;
mod prefetch;
mod settings;
pub(crate) mod stream;
mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use brew_core::batch::{Batches, Extreme, FromColumns, Walk};
use brew_core::tch::Device;

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use column::Source;
use cut::{Cut, Lengths};
use make::{Maker, Share};
use order::Order;
use prefetch::{Jobs, Prefetched};
use transfer::Destination;

/// Threads that make batches, unless said otherwise.
const WORKERS: usize = 2;

/// Batches of type `B` from a [`Dataset`]; made by [`Dataset::batches`].
///
/// Each column that `B` declares becomes a tensor of the declared dtype: (rows,) of a column of numbers,
/// (rows, longest) of a column of lists, padded to the longest of the batch. Integers become floats where
/// the dtype can hold them exactly; floats never become integers, and a value that does not fit is an
/// error that names its row.
///
/// Which rows are in which batch depends on the data, the seed, the epoch and what is said here about
/// size and order, and on nothing else: not on the number of workers, nor on how many ranks share the
/// batches. Any batch of any epoch is reached without making the ones before it.
#[must_use]
pub struct Loader<B> {
    dataset: Dataset,
    size: usize,
    tokens: Option<usize>,
    order: Order,
    bucketed: bool,
    augmentation: Option<Augmentation>,
    multiple: usize,
    share: Share,
    workers: usize,
    destination: Destination,
    batch: PhantomData<fn() -> B>,
}

impl<B> fmt::Debug for Loader<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Loader")
            .field("batch", &std::any::type_name::<B>())
            .field("dataset", &self.dataset)
            .field("size", &self.size)
            .field("tokens", &self.tokens)
            .field("order", &self.order)
            .field("bucketed", &self.bucketed)
            .field("augmentation", &self.augmentation)
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// Batches of type `B`, `size` rows each, in the order of the file until
    /// [`Loader::shuffled`] says otherwise.
    ///
    /// Nothing is checked or read yet: see [`Loader::check`].
    pub fn batches<B: FromColumns>(&self, size: usize) -> Loader<B> {
        Loader::new(self.clone(), size)
    }
}

impl<B> Loader<B> {
    fn new(dataset: Dataset, size: usize) -> Self {
        Loader {
            dataset,
            size,
            tokens: None,
            order: Order::Table,
            bucketed: false,
            augmentation: None,
            multiple: 1,
            share: Share { rank: 0, of: 1 },
            workers: WORKERS,
            destination: Destination(Device::Cpu),
            batch: PhantomData,
        }
    }

    /// Walks each epoch in another random order: a pure function of `seed` and the epoch (see
    /// [`epoch_order`](crate::epoch_order)).
    ///
    /// It takes 4 bytes a row. Tables of more than 67 million rows are shuffled as
    /// [`Loader::shuffled_in_blocks`] does.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.order = Order::Shuffled(seed);
        self
    }

    /// As [`Loader::shuffled`], but reads runs of the file: shards of 4096 consecutive rows in random
    /// order, and rows shuffled inside blocks of 256 shards. For tables that the memory cannot keep
    /// cached; it takes 4 MB.
    pub fn shuffled_in_blocks(mut self, seed: u64) -> Self {
        self.order = Order::Blocks(seed);
        self
    }

    /// Puts rows of like length into one batch, so that less of it is padding.
    ///
    /// Inside windows of 100 batches of the order, rows are sorted by the length of their longest list
    /// and cut into batches, which are shuffled again if rows are. The number of batches stays.
    pub fn bucketed(mut self) -> Self {
        self.bucketed = true;
        self
    }

    /// Disturbs the tokens of each row anew in each epoch. The batch needs the columns `input_ids` and
    /// `attention_mask`; buckets go by the lengths before. What a teacher says of a row is no more than
    /// of that epoch's row: a cache of it is of no use.
    pub fn augmented(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = Some(augmentation);
        self
    }

    /// Cuts batches so that none has more than this many tokens (rows x longest list, padding included),
    /// nor more rows than the batch size. Best with [`Loader::bucketed`].
    ///
    /// The number of batches is then another in every epoch; see
    /// [`Batches::batches_in`](brew_core::batch::Batches::batches_in).
    pub fn up_to_tokens(mut self, tokens: usize) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Pads lists to a multiple of this length instead of to the batch's longest: 8 suits the matrix
    /// units of GPUs in low precision. Of lists of lists it is the outer one that is rounded up.
    pub fn padded_to_multiple_of(mut self, length: usize) -> Self {
        self.multiple = length;
        self
    }

    /// Hands out the share of one rank (from 0) of several: every `ranks`-th row of each batch, so that
    /// all ranks together see the batches that one alone would see. A batch with fewer rows than ranks
    /// leaves the last of them a batch of no rows.
    ///
    /// Lists, and the lists in them, are padded to the longest of the whole batch.
    pub fn share(mut self, rank: usize, ranks: usize) -> Self {
        self.share = Share { rank, of: ranks };
        self
    }

    /// Makes batches on this many threads; 2 unless said. Three more batches may wait.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Hands out batches on this device. To a GPU they are copied from pinned memory while it works.
    pub fn to(mut self, device: Device) -> Self {
        self.destination = Destination(device);
        self
    }

    fn cut(&self) -> Cut {
        Cut { size: self.size, tokens: self.tokens, bucketed: self.bucketed, order: self.order }
    }
}

impl<B: FromColumns> Loader<B> {
    /// Compares the columns that `B` declares with the data; reads no row.
    ///
    /// Every epoch begins with the same check: call this to fail early.
    ///
    /// # Errors
    /// All at once, by file, column and, where there is one, row: a column that is missing, of another
    /// type, with a missing value, or of lists of unequal lengths without a pad value; no rows; settings
    /// of 0; fewer rows a batch than ranks; buckets or tokens where no column is a list; a device that
    /// is not there.
    pub fn check(&self) -> Result<()> {
        self.sources().map(drop)
    }

    fn sources(&self) -> Result<Vec<Source>> {
        if let Some(augmentation) = &self.augmentation {
            augmentation.check(B::COLUMNS)?;
        }
        Error::all(self.wrong_settings())?;
        self.destination.check().map_err(|error| Error::Setting(error.to_string()))?;
        let sources = check::sources(&self.dataset, B::COLUMNS)?;
        if !sources.iter().any(Source::is_list) {
            let wrong = [
                (self.bucketed, "bucket by", ".bucketed()"),
                (self.tokens.is_some(), "count tokens of", ".up_to_tokens()"),
            ];
            if let Some((_, what, call)) = wrong.into_iter().find(|(wrong, ..)| *wrong) {
                let message = format!("there is no column of lists to {what}: leave out `{call}`");
                return Err(Error::format(self.dataset.path(), message));
            }
        }
        Ok(sources)
    }

    fn maker(&self, epoch: u64) -> Result<Maker<B>> {
        Ok(Maker {
            dataset: self.dataset.clone(),
            augmentation: self.augmentation.clone(),
            epoch,
            sources: self.sources()?,
            multiple: self.multiple,
            share: self.share,
            destination: self.destination,
            batch: PhantomData,
        })
    }

    fn lengths(&self, maker: &Arc<Maker<B>>) -> impl Lengths + use<B> {
        let (maker, tokens) = (maker.clone(), self.tokens);
        move |row| maker.length(row, tokens)
    }

    fn rows_in_use(&self) -> u32 {
        // A table has no more: see `Dataset`.
        u32::try_from(self.dataset.rows()).unwrap_or(u32::MAX)
    }
}

impl<B: FromColumns> Batches for Loader<B> {
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        (self.size > 0 && self.tokens.is_none()).then(|| self.dataset.rows().div_ceil(self.size))
    }

    fn rows(&self) -> Option<usize> {
        Some(self.dataset.rows())
    }

    fn varies(&self) -> bool {
        self.augmentation.is_some()
    }

    fn batches_in(&self, epoch: u64) -> brew_core::Result<Option<usize>> {
        let lengths = self.lengths(&Arc::new(self.maker(epoch)?));
        Ok(Some(self.cut().count(self.rows_in_use(), epoch, &lengths)?))
    }

    fn epoch(&self, epoch: u64) -> brew_core::Result<Walk<'_, B>> {
        self.epoch_from(epoch, 0)
    }

    fn epoch_from(&self, epoch: u64, batch: usize) -> brew_core::Result<Walk<'_, B>> {
        let maker = Arc::new(self.maker(epoch)?);
        let batches = self.cut().from(self.rows_in_use(), epoch, batch, self.lengths(&maker))?;
        let path = self.dataset.path().to_owned();
        let panicked = move |number, text: &str| {
            Error::format(
                &path,
                format!("batch {} of the epoch could not be made: panic: {text}", batch + number),
            )
        };
        let make = move |number, rows: Vec<u32>| maker.make(batch + number, &rows);
        let batches = Prefetched::start(Jobs::Own, batches, self.workers, make, panicked);
        let batches = batches.map_err(Error::io(self.dataset.path()))?;
        let destination = self.destination;
        Ok(Box::new(batches.map(move |batch| destination.deliver(batch?))))
    }

    fn class_names(&self, column: &str) -> brew_core::Result<Option<Vec<String>>> {
        Ok(self.dataset.class_names(column)?)
    }

    fn extremes(&self) -> brew_core::Result<Vec<Extreme<B>>> {
        let maker = Maker { share: Share { rank: 0, of: 1 }, ..self.maker(0)? };
        let (rows, longest) = extremes::rows(&self.dataset, &maker.sources)?;
        let extremes = rows.into_iter().map(|(row, held)| {
            let (path, of_file) = self.dataset.place(row);
            // A table has no more rows: see `Dataset`.
            let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
            // Beside itself; an empty list beside one that pads it, as in any batch.
            let lists = || maker.sources.iter().filter(|source| source.is_list());
            let empty = lists().all(|list| list.length(&self.dataset, row) == 0);
            let beside = longest.filter(|_| empty).unwrap_or(row);
            let batch = self.destination.deliver(maker.make(0, &[number(row), number(beside)])?)?;
            Ok(Extreme { row: format!("{}, row {of_file}: {held}", path.display()), batch })
        });
        extremes.collect()
    }

    fn settings(&self) -> brew_core::Result<BTreeMap<String, String>> {
        Ok(self.describe()?)
    }
}
