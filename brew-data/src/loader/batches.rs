//! The epochs of a loader: checked, divided into batches, and prefetched.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use brew_core::batch::{Batches, Column, Extreme, FromColumns, Walk, Wanted};
use brew_core::tch::Kind;
use brew_core::vocabulary::Fingerprint;

use super::column::ColumnReader;
use super::cut::Lengths;
use super::make::{Maker, Share};
use super::order::Order;
use super::prefetch::{Jobs, Prefetched};
use super::{Loader, check, extremes};
use crate::augment::MaskedLm;
use crate::augment::masked_lm::{INPUT_IDS, LABELS, WORD_IDS};
use crate::error::{Error, Result};

impl<B: FromColumns> Loader<B> {
    /// Checks the columns that `B` declares against the data, without making a batch.
    ///
    /// Every epoch starts with the same check; call this to fail early.
    ///
    /// # Errors
    /// All at once, by file, column, and row: a column that is missing, has another type, has a missing
    /// value, or has lists of unequal lengths without a pad value; no rows; settings of 0; fewer rows per
    /// batch than ranks; bucketing or a token limit without a list column; a device that does not exist.
    pub fn check(&self) -> Result<()> {
        let sources = self.sources()?;
        self.words(&sources).map(drop)
    }

    /// The invalid settings.
    fn wrong_settings(&self) -> Vec<Error> {
        let (rank, ranks) = (self.share.rank, self.share.of);
        let wrong = [
            (self.size == 0, "batches of 0 rows: ask for 1 or more".to_owned()),
            (self.tokens == Some(0), "batches of up to 0 tokens: ask for 1 or more".to_owned()),
            (self.multiple == 0, "padding to a multiple of 0: ask for 1 or more".to_owned()),
            (self.workers == 0, "0 workers: ask for 1 or more".to_owned()),
            (ranks == 0 || rank >= ranks, format!("rank {rank} of {ranks}: ranks are counted from 0")),
            (
                self.size > 0 && self.size < ranks,
                format!("batches of {} rows for {ranks} ranks: ask for {ranks} rows or more", self.size),
            ),
        ];
        wrong.into_iter().filter(|(wrong, _)| *wrong).map(|(_, message)| Error::Setting(message)).collect()
    }

    fn sources(&self) -> Result<Vec<ColumnReader>> {
        if let Some(augmentation) = &self.augmentation {
            augmentation.check(B::COLUMNS)?;
        }
        if let Some(masked_lm) = &self.masked_lm {
            masked_lm.check(B::COLUMNS, &self.dataset)?;
        }
        Error::all(self.wrong_settings())?;
        self.destination.check().map_err(|error| Error::Setting(error.to_string()))?;
        let columns = B::COLUMNS.iter().filter(|column| !self.makes(column.name));
        let columns: Vec<Column> = columns.copied().collect();
        let sources = check::sources(&self.dataset, &columns)?;
        if !sources.iter().any(ColumnReader::is_list) {
            let wrong = [
                (self.bucketed, "bucket by", ".bucketed()"),
                (self.tokens.is_some(), "count tokens of", ".up_to_tokens()"),
            ];
            if let Some((_, what, call)) = wrong.into_iter().find(|(wrong, ..)| *wrong) {
                let message = format!("there is no list column to {what}: remove `{call}`");
                return Err(Error::format(self.dataset.path(), message));
            }
        }
        Ok(sources)
    }

    /// Whether masking makes this column, whatever a column of that name in the data has.
    pub(super) fn makes(&self, column: &str) -> bool {
        self.masked_lm.is_some() && column == LABELS
    }

    /// The words of these tokens, if whole words are masked.
    fn words(&self, sources: &[ColumnReader]) -> Result<Option<ColumnReader>> {
        if !self.masked_lm.as_ref().is_some_and(MaskedLm::needs_words) {
            return Ok(None);
        }
        if self.augmentation.is_some() {
            return Err(Error::Setting(
                "masked_lm: whole words cannot be found after tokens were augmented: remove `.augmented(…)` or `.whole_words()`"
                    .to_owned(),
            ));
        }
        let column =
            Column { name: WORD_IDS, kind: Kind::Int64, pad: Some(-1.0), optional: false, nested: false };
        let Some(words) = check::sources(&self.dataset, &[column])?.pop() else { return Ok(None) };
        let ids = sources.iter().find(|source| source.column.name == INPUT_IDS);
        let length = |source: &ColumnReader, row| source.length(&self.dataset, row);
        let unequal = |row: &usize| ids.is_some_and(|ids| length(ids, *row) != length(&words, *row));
        match (0..self.dataset.rows()).find(unequal) {
            Some(row) => {
                let message = format!(
                    "{} words for the tokens of `{INPUT_IDS}`: there must be one per token",
                    length(&words, row)
                );
                Err(self.dataset.bad_value(row, column.name, message))
            }
            None => Ok(Some(words)),
        }
    }

    pub(super) fn maker(&self, epoch: u64) -> Result<Maker<B>> {
        let sources = self.sources()?;
        Ok(Maker {
            dataset: self.dataset.clone(),
            augmentation: self.augmentation.clone(),
            masked_lm: self.masked_lm.clone(),
            words: self.words(&sources)?,
            epoch,
            sources,
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

    /// The wanted batches of an epoch from this one on, and how many batches the epoch has.
    fn made(&self, epoch: u64, first: usize, wanted: Wanted) -> brew_core::Result<(Walk<'_, B>, usize)> {
        let maker = Arc::new(self.maker(epoch)?);
        let batches = self.cut().from(self.rows_in_use(), epoch, first, self.lengths(&maker))?;
        let count = batches.count;
        let of_job = Arc::clone(&wanted);
        // Before the workers, which make a few batches in advance: not those of other ranks.
        let batches = (first..).zip(batches).filter(move |(number, _)| wanted(*number));
        let jobs = batches.map(|(number, rows)| Ok((number, rows?)));
        let path = self.dataset.path().to_owned();
        let panicked = move |number, text: &str| {
            let batch = (first..).filter(|batch| of_job(*batch)).nth(number).unwrap_or(first);
            Error::format(&path, format!("batch {batch} of the epoch could not be made: panic: {text}"))
        };
        let make = move |_, (number, rows): (usize, Vec<u32>)| maker.make(number, &rows);
        let batches = Prefetched::start(Jobs::Own, jobs, self.workers, make, panicked);
        let batches = batches.map_err(Error::io(self.dataset.path()))?;
        let destination = self.destination;
        Ok((Box::new(batches.map(move |batch| destination.deliver(batch?))), count))
    }

    fn rows_in_use(&self) -> u32 {
        // `Dataset` allows no more rows.
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
        self.augmentation.is_some() || self.masked_lm.is_some()
    }

    fn reorders(&self) -> bool {
        self.bucketed || !matches!(self.order, Order::Table)
    }

    fn batches_in(&self, epoch: u64) -> brew_core::Result<Option<usize>> {
        let lengths = self.lengths(&Arc::new(self.maker(epoch)?));
        Ok(Some(self.cut().count(self.rows_in_use(), epoch, &lengths)?))
    }

    fn epoch(&self, epoch: u64) -> brew_core::Result<Walk<'_, B>> {
        self.epoch_from(epoch, 0)
    }

    fn epoch_from(&self, epoch: u64, batch: usize) -> brew_core::Result<Walk<'_, B>> {
        Ok(self.made(epoch, batch, Arc::new(|_| true))?.0)
    }

    fn epoch_part(
        &self,
        epoch: u64,
        batch: usize,
        wanted: &Wanted,
    ) -> brew_core::Result<Option<Walk<'_, Option<B>>>> {
        let ((mut made, count), wanted) = (self.made(epoch, batch, Arc::clone(wanted))?, Arc::clone(wanted));
        let next = move |index| {
            if wanted(index) { made.next().map(|batch| batch.map(Some)) } else { Some(Ok(None)) }
        };
        Ok(Some(Box::new((batch..count).map_while(next))))
    }

    fn class_names(&self, column: &str) -> brew_core::Result<Option<Vec<String>>> {
        if self.makes(column) { Ok(None) } else { Ok(self.dataset.class_names(column)?) }
    }

    fn vocabulary(&self, column: &str) -> brew_core::Result<Option<Fingerprint>> {
        let column = if self.makes(column) { INPUT_IDS } else { column };
        Ok(self.dataset.vocabulary(column)?)
    }

    fn extremes(&self) -> brew_core::Result<Vec<Extreme<B>>> {
        let maker = Maker { share: Share { rank: 0, of: 1 }, ..self.maker(0)? };
        let (rows, longest) = extremes::rows(&self.dataset, &maker.sources)?;
        let extremes = rows.into_iter().map(|(row, held)| {
            let (path, of_file) = self.dataset.place(row);
            // `Dataset` allows no more rows.
            let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
            // Each row stands beside itself; an empty list stands beside one that pads it, as in any batch.
            let lists = || maker.sources.iter().filter(|source| source.is_list());
            let empty = lists().all(|list| list.length(&self.dataset, row) == 0);
            let beside = longest.filter(|_| empty).unwrap_or(row);
            let batch = self.destination.deliver(maker.make(0, &[number(row), number(beside)])?)?;
            Ok(Extreme { row: format!("{}, row {of_file}: {held}", path.display()), batch })
        });
        let mut extremes: Vec<_> = extremes.collect::<brew_core::Result<_>>()?;
        if let (Some(largest), Some(row)) = (self.masked_lm.as_ref().and_then(MaskedLm::largest), longest) {
            let (path, of_file) = self.dataset.place(row);
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            let batch = MaskedLm::with_largest(&maker.make(0, &[row, row])?, largest)?;
            let row = format!(
                "{}, row {of_file}, with the largest token that masks put there, {largest}",
                path.display()
            );
            extremes.push(Extreme { row, batch: self.destination.deliver(batch)? });
        }
        Ok(extremes)
    }

    fn settings(&self) -> brew_core::Result<BTreeMap<String, String>> {
        Ok(self.describe()?)
    }
}
