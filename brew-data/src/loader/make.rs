//! Makes one batch from its rows: the rank's share, the tensors, and the user's struct.

use std::fmt;
use std::marker::PhantomData;

use brew_core::batch::{Columns, FromColumns};

use super::column::ColumnReader;
use super::prefetch::caught;
use super::transfer::Destination;
use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// The rank whose rows of each global batch are returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) rank: usize,
    pub(super) of: usize,
}

/// Makes batches: everything needed from a loader, movable to other threads.
pub(super) struct Maker<B> {
    pub(super) dataset: Dataset,
    pub(super) sources: Vec<ColumnReader>,
    pub(super) augmentation: Option<Augmentation>,
    pub(super) epoch: u64,
    pub(super) multiple: usize,
    pub(super) share: Share,
    pub(super) destination: Destination,
    pub(super) batch: PhantomData<fn() -> B>,
}

impl<B: FromColumns> Maker<B> {
    /// Makes batch `number` from these rows of the table.
    pub(super) fn make(&self, number: usize, rows: &[u32]) -> Result<B> {
        let made = caught(|| self.batch(number, rows));
        made.unwrap_or_else(|text| {
            Err(self.in_batch(number, rows, format!("the batch could not be made: panic: {text}")))
        })
    }

    fn batch(&self, number: usize, rows: &[u32]) -> Result<B> {
        let share: Vec<u32> = rows.iter().copied().skip(self.share.rank).step_by(self.share.of).collect();
        self.dataset.check_lengths()?;
        let mut columns = Columns::new();
        for source in &self.sources {
            // All ranks pad to the length of the whole batch.
            let extent = source.extent(&self.dataset, rows, self.multiple);
            columns.insert(source.column.name, source.collate(&self.dataset, &share, extent)?);
        }
        B::from_columns(&mut columns)
            .and_then(|batch| self.augmented(batch, &share))
            .and_then(|batch| self.destination.stage(batch))
            .map_err(|error| self.in_batch(number, rows, error))
    }

    /// The batch of these rows after augmentation.
    fn augmented(&self, batch: B, rows: &[u32]) -> brew_core::Result<B> {
        let Some(augmentation) = &self.augmentation else { return Ok(batch) };
        let rows: Vec<u64> = rows.iter().map(|&row| self.dataset.file_row(row as usize) as u64).collect();
        augmentation.batch(&batch, self.epoch, &rows, self.multiple)
    }

    /// The length of a row's longest list, rounded up to the padding multiple.
    ///
    /// # Errors
    /// The row does not fit into a batch of this many tokens.
    pub(super) fn length(&self, row: u32, tokens: Option<usize>) -> Result<usize> {
        let lengths = self.sources.iter().map(|source| (source.length(&self.dataset, row as usize), source));
        let Some((longest, source)) = lengths.max_by_key(|(length, _)| *length) else { return Ok(0) };
        let padded = longest.next_multiple_of(self.multiple);
        match tokens {
            Some(tokens) if padded > tokens => {
                let message = format!(
                    "a list of length {longest}, but batches have no more than {tokens} tokens: \
                     cut the list, or raise `.up_to_tokens()`"
                );
                Err(self.dataset.bad_value(row as usize, source.column.name, message))
            }
            _ => Ok(padded),
        }
    }

    /// Adds the batch to an error that does not come from the data.
    fn in_batch(&self, batch: usize, rows: &[u32], message: impl fmt::Display) -> Error {
        let (path, row) =
            rows.first().map_or((self.dataset.path(), 0), |&row| self.dataset.place(row as usize));
        Error::Batch { path: path.into(), batch, row, message: message.to_string() }
    }
}
