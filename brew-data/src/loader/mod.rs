//! From rows to typed batches: order, columns to tensors, and threads that work ahead.

mod batches;
mod check;
mod collate;
mod column;
mod cut;
mod dtype;
mod extremes;
mod identity;
mod make;
pub(crate) mod order;
mod prefetch;
mod rebatch;
pub(crate) mod stream;
mod transfer;

use std::fmt;
use std::marker::PhantomData;

use brew_core::batch::FromColumns;
use brew_core::tch::Device;

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use cut::Cut;
use make::Share;
use order::Order;
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
