//! A stream that applies a function to every batch (TextBrewer's `batch_postprocessor`).

use std::collections::BTreeMap;

use super::{Batches, Extreme, Walk, Wanted};
use crate::error::{Error, Result};

/// A stream that applies a function to every batch: see [`Batches::processed`].
#[derive(Debug)]
pub struct Processed<D, F> {
    pub(super) batches: D,
    pub(super) process: F,
}

impl<D: Batches, F> Processed<D, F> {
    fn process<B>(&self, epoch: u64, batch: usize, given: D::Batch) -> Result<B>
    where
        F: Fn(D::Batch) -> Result<B>,
    {
        (self.process)(given).map_err(|error| {
            Error::other(format!("epoch {epoch}, batch {batch}: `.processed(…)` failed: {error}"))
        })
    }
}

impl<D, F, B> Batches for Processed<D, F>
where
    D: Batches,
    F: Fn(D::Batch) -> Result<B>,
{
    type Batch = B;

    fn batches_per_epoch(&self) -> Option<usize> {
        self.batches.batches_per_epoch()
    }

    fn rows(&self) -> Option<usize> {
        self.batches.rows()
    }

    fn varies(&self) -> bool {
        self.batches.varies()
    }

    fn reorders(&self) -> bool {
        self.batches.reorders()
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, B>> {
        self.epoch_from(epoch, 0)
    }

    fn batches_in(&self, epoch: u64) -> Result<Option<usize>> {
        self.batches.batches_in(epoch)
    }

    fn epoch_from(&self, epoch: u64, first: usize) -> Result<Walk<'_, B>> {
        let batches = self.batches.epoch_from(epoch, first)?.enumerate();
        Ok(Box::new(batches.map(move |(index, batch)| self.process(epoch, first + index, batch?))))
    }

    fn epoch_part(&self, epoch: u64, first: usize, wanted: &Wanted) -> Result<Option<Walk<'_, Option<B>>>> {
        let Some(batches) = self.batches.epoch_part(epoch, first, wanted)? else { return Ok(None) };
        let process = move |(index, batch): (usize, Result<Option<D::Batch>>)| {
            batch?.map(|batch| self.process(epoch, first + index, batch)).transpose()
        };
        Ok(Some(Box::new(batches.enumerate().map(process))))
    }

    fn class_names(&self, column: &str) -> Result<Option<Vec<String>>> {
        self.batches.class_names(column)
    }

    // `vocabulary` is not passed on: the function may give a column another name.

    fn extremes(&self) -> Result<Vec<Extreme<B>>> {
        let extremes = self.batches.extremes()?.into_iter().map(|Extreme { row, batch }| {
            let batch = (self.process)(batch)
                .map_err(|error| Error::other(format!("{row}: `.processed(…)` failed: {error}")))?;
            Ok(Extreme { row, batch })
        });
        extremes.collect()
    }

    fn settings(&self) -> Result<BTreeMap<String, String>> {
        self.batches.settings()
    }
}
