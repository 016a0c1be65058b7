//! Turns rows into typed batches: order, tensors, and prefetching threads.

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

use crate::augment::{Augmentation, MaskedLm};
use crate::dataset::Dataset;
use cut::Cut;
use make::Share;
use order::Order;
use transfer::Destination;

/// The default number of threads that make batches.
const WORKERS: usize = 2;

/// Batches of type `B` from a [`Dataset`]; made by [`Dataset::batches`].
///
/// Each column that `B` declares becomes a tensor of the declared dtype: (rows,) for a column of numbers,
/// (rows, longest) for a column of lists, padded to the longest list of the batch. Integers become floats if
/// the dtype holds them exactly; floats never become integers, and a value that does not fit is an error that
/// names its row.
///
/// Which rows are in which batch depends only on the data, the seed, the epoch, and the settings here for
/// size and order: not on the number of workers or of ranks. Any batch of any epoch can be reached without
/// making the ones before it.
#[must_use]
pub struct Loader<B> {
    dataset: Dataset,
    size: usize,
    tokens: Option<usize>,
    order: Order,
    bucketed: bool,
    augmentation: Option<Augmentation>,
    masked_lm: Option<MaskedLm>,
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
            .field("masked_lm", &self.masked_lm)
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// Batches of type `B` with `size` rows each, in the order of the file unless [`Loader::shuffled`] is
    /// called.
    ///
    /// Nothing is checked or read yet; see [`Loader::check`].
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
            masked_lm: None,
            multiple: 1,
            share: Share { rank: 0, of: 1 },
            workers: WORKERS,
            destination: Destination(Device::Cpu),
            batch: PhantomData,
        }
    }

    /// Visits the rows in a different random order in each epoch: a pure function of `seed` and the epoch
    /// (see [`epoch_order`](crate::epoch_order)).
    ///
    /// This takes 4 bytes per row. Tables with more than 67 million rows are shuffled as by
    /// [`Loader::shuffled_in_blocks`].
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.order = Order::Shuffled(seed);
        self
    }

    /// As [`Loader::shuffled`], but reads runs of the file: shards of 4096 consecutive rows in random order,
    /// with rows shuffled within blocks of 256 shards. For tables too large for the memory; takes 4 MB.
    pub fn shuffled_in_blocks(mut self, seed: u64) -> Self {
        self.order = Order::Blocks(seed);
        self
    }

    /// Groups rows of similar length into batches, which reduces padding.
    ///
    /// Within windows of 100 batches, rows are sorted by the length of their longest list and cut into
    /// batches, which are shuffled again if rows are shuffled. The number of batches does not change.
    pub fn bucketed(mut self) -> Self {
        self.bucketed = true;
        self
    }

    /// Augments the tokens of each row anew in each epoch. The batch needs the columns `input_ids` and
    /// `attention_mask`; bucketing uses the original lengths. A row then differs between epochs, so a teacher
    /// cache is refused.
    pub fn augmented(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = Some(augmentation);
        self
    }

    /// Draws new masks for every row in each epoch, and makes the `labels` of a masked language model: the original
    /// tokens where they are to be restored, and -100 elsewhere. A column `labels` of the data is not
    /// read.
    ///
    /// The batch needs the columns `input_ids`, `attention_mask`, and `labels`, as
    /// [`MaskedLmBatch`](brew_core::model::MaskedLmBatch) has them. Rows are augmented before they are masked. A
    /// teacher cache is refused, as for augmented rows. An evaluation always has the masks of epoch 0.
    pub fn masked_lm(mut self, masked_lm: MaskedLm) -> Self {
        self.masked_lm = Some(masked_lm);
        self
    }

    /// Limits batches to this many tokens (rows x longest list, padding included), in addition to the batch
    /// size. Best combined with [`Loader::bucketed`].
    ///
    /// The number of batches then varies per epoch; see
    /// [`Batches::batches_in`](brew_core::batch::Batches::batches_in).
    pub fn up_to_tokens(mut self, tokens: usize) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Pads lists to a multiple of this length; 8 suits the matrix units of GPUs in low precision. For lists
    /// of lists it applies to the outer list.
    pub fn padded_to_multiple_of(mut self, length: usize) -> Self {
        self.multiple = length;
        self
    }

    /// Returns the share of one rank (from 0): every `ranks`-th row of each batch, so that all ranks together
    /// see the batches that a single one would see. If a batch has fewer rows than ranks, the last ranks get
    /// a batch without rows.
    ///
    /// Lists, and nested lists, are padded to the longest of the whole batch.
    pub fn share(mut self, rank: usize, ranks: usize) -> Self {
        self.share = Share { rank, of: ranks };
        self
    }

    /// Makes batches on this many threads (default: 2). Three more batches may wait.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Returns batches on this device. Batches for a GPU are copied from pinned memory while it works.
    pub fn to(mut self, device: Device) -> Self {
        self.destination = Destination(device);
        self
    }

    fn cut(&self) -> Cut {
        Cut { size: self.size, tokens: self.tokens, bucketed: self.bucketed, order: self.order }
    }
}
