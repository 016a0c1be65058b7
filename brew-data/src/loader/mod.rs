//! From rows to typed batches: order, columns to tensors, and a thread that works ahead.

mod check;
mod column;
pub(crate) mod numbers;
pub(crate) mod order;
mod prefetch;

use std::fmt;
use std::marker::PhantomData;

use brew_core::batch::{Batches, Columns, FromColumns};

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use column::Source;
use order::{EpochBatches, Order};
use prefetch::Prefetched;

/// Batches of type `B` from a [`Dataset`]; made by [`Dataset::batches`].
///
/// Each column that `B` declares becomes a CPU tensor of the declared dtype: (rows,) of a column of
/// numbers, (rows, longest) of a column of lists, padded to the longest of the batch. Integers become
/// floats where the dtype can hold them exactly; floats never become integers, and a value that does
/// not fit is an error that names its row.
#[must_use]
pub struct Loader<B> {
    dataset: Dataset,
    size: usize,
    seed: Option<u64>,
    bucketed: bool,
    augmentation: Option<Augmentation>,
    batch: PhantomData<fn() -> B>,
}

impl<B> fmt::Debug for Loader<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Loader")
            .field("batch", &std::any::type_name::<B>())
            .field("dataset", &self.dataset)
            .field("size", &self.size)
            .field("seed", &self.seed)
            .field("bucketed", &self.bucketed)
            .field("augmentation", &self.augmentation)
            .finish()
    }
}

impl<B> Loader<B> {
    pub(crate) fn new(dataset: Dataset, size: usize) -> Self {
        Loader { dataset, size, seed: None, bucketed: false, augmentation: None, batch: PhantomData }
    }

    /// Walks each epoch in another random order: a pure function of `seed` and the epoch (see
    /// [`epoch_order`](crate::epoch_order)).
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
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
}

impl<B: FromColumns> Loader<B> {
    /// Compares the columns that `B` declares with the data; reads no row.
    ///
    /// Every epoch begins with the same check: call this to fail early.
    ///
    /// # Errors
    /// All at once, by file, column and, where there is one, row: a column that is missing, of another
    /// type, with a missing value, or of lists of unequal lengths without a pad value; no rows; a batch
    /// size of 0; buckets where no column is a list.
    pub fn check(&self) -> Result<()> {
        self.sources().map(drop)
    }

    fn sources(&self) -> Result<Vec<Source>> {
        if self.size == 0 {
            return Err(Error::Setting("batches of 0 rows: ask for 1 or more".to_owned()));
        }
        if let Some(augmentation) = &self.augmentation {
            augmentation.check(B::COLUMNS)?;
        }
        let sources = check::sources(&self.dataset, B::COLUMNS)?;
        if self.bucketed && !sources.iter().any(Source::is_list) {
            let message = "there is no column of lists to bucket by: leave out `.bucketed()`";
            return Err(Error::format(self.dataset.path(), message));
        }
        Ok(sources)
    }

    fn order(&self, sources: &[Source], epoch: u64) -> EpochBatches {
        let order = Order { size: self.size, seed: self.seed };
        let rows = self.dataset.rows() as u32;
        if !self.bucketed {
            return order.batches(rows, epoch);
        }
        order.bucketed(rows, epoch, |row| {
            let lengths = sources.iter().map(|source| source.length(&self.dataset, row as usize));
            lengths.max().unwrap_or(0)
        })
    }
}

/// Makes one batch.
fn collate<B: FromColumns>(dataset: &Dataset, sources: &[Source], batch: usize, rows: &[u32]) -> Result<B> {
    let mut columns = Columns::new();
    for source in sources {
        columns.insert(source.column.name, source.collate(dataset, rows)?);
    }
    B::from_columns(&mut columns).map_err(|error| in_batch(dataset, batch, rows, error))
}

/// Names the place of an error that does not come from the data.
fn in_batch(dataset: &Dataset, batch: usize, rows: &[u32], message: impl fmt::Display) -> Error {
    Error::Batch {
        path: dataset.path().into(),
        batch,
        row: rows.first().map_or(0, |&row| dataset.file_row(row as usize)),
        message: message.to_string(),
    }
}

impl<B: FromColumns> Batches for Loader<B> {
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        (self.size > 0).then(|| self.dataset.rows().div_ceil(self.size))
    }

    fn rows(&self) -> Option<usize> {
        Some(self.dataset.rows())
    }

    fn epoch(&self, epoch: u64) -> brew_core::Result<Box<dyn Iterator<Item = brew_core::Result<B>> + '_>> {
        let sources = self.sources()?;
        let order = std::sync::Arc::new(self.order(&sources, epoch));
        let (dataset, walked) = (self.dataset.clone(), order.clone());
        let augmentation = self.augmentation.clone();
        let make = move |batch| {
            let rows = walked.rows(batch);
            let collated = collate::<B>(&dataset, &sources, batch, rows)?;
            let Some(augmentation) = &augmentation else { return Ok(collated) };
            let of_file: Vec<u64> = rows.iter().map(|&row| dataset.file_row(row as usize) as u64).collect();
            augmentation
                .batch(&collated, epoch, &of_file)
                .map_err(|error| in_batch(&dataset, batch, rows, error))
        };
        let (dataset, count) = (self.dataset.clone(), order.len());
        let panicked = move |batch, text: &str| {
            in_batch(
                &dataset,
                batch,
                order.rows(batch),
                format!("the batch could not be made: panic: {text}"),
            )
        };
        let batches = Prefetched::start(count, make, panicked).map_err(Error::io(self.dataset.path()))?;
        Ok(Box::new(batches.map(|batch| batch.map_err(Into::into))))
    }
}
