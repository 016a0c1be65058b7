//! Makes one batch from its rows: the rank's share, the tensors, and the user's struct.

use std::fmt;
use std::marker::PhantomData;

use brew_core::batch::{Columns, FromColumns};
use brew_core::tch::Tensor;

use super::column::ColumnReader;
use super::prefetch::caught;
use super::transfer::Destination;
use crate::augment::masked_lm::{INPUT_IDS, LABELS};
use crate::augment::{Augmentation, MaskedLm};
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
    pub(super) masked_lm: Option<MaskedLm>,
    /// The words of tokens, if whole words are masked.
    pub(super) words: Option<ColumnReader>,
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
        // All ranks pad to the length of the whole batch.
        let collated = |source: &ColumnReader| {
            source.collate(&self.dataset, &share, source.extent(&self.dataset, rows, self.multiple))
        };
        let mut tokens = [None, None];
        for source in &self.sources {
            let tensor = collated(source)?;
            if let Some(place) =
                [INPUT_IDS, "attention_mask"].iter().position(|name| *name == source.column.name)
            {
                tokens[place] = Some(tensor.shallow_clone());
            }
            columns.insert(source.column.name, tensor);
        }
        if let ([Some(ids), Some(mask)], true) = (&tokens, self.masked_lm.is_some()) {
            let tokens = MaskedLm::tokens(ids, mask).map_err(|error| self.in_batch(number, rows, error))?;
            columns.insert(LABELS, tokens);
        }
        let words = self.words.as_ref().map(collated).transpose()?;
        B::from_columns(&mut columns)
            .and_then(|batch| self.augmented(batch, &share))
            .and_then(|batch| self.masked(batch, words.as_ref(), &share))
            .and_then(|batch| self.destination.stage(batch))
            .map_err(|error| self.in_batch(number, rows, error))
    }

    /// The batch of these rows after augmentation.
    fn augmented(&self, batch: B, rows: &[u32]) -> brew_core::Result<B> {
        let Some(augmentation) = &self.augmentation else { return Ok(batch) };
        augmentation.batch(&batch, self.epoch, &self.of_file(rows), self.multiple)
    }

    /// The batch of these rows with masks and labels.
    fn masked(&self, batch: B, words: Option<&Tensor>, rows: &[u32]) -> brew_core::Result<B> {
        let Some(masked_lm) = &self.masked_lm else { return Ok(batch) };
        masked_lm.batch(&batch, words, self.epoch, &self.of_file(rows))
    }

    /// The numbers that these rows have in their file.
    fn of_file(&self, rows: &[u32]) -> Vec<u64> {
        rows.iter().map(|&row| self.dataset.file_row(row as usize) as u64).collect()
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
