//! Divides an epoch into global batches, window by window, so that any batch can be found from its own window
//! alone.
//!
//! A window holds up to [`WINDOW_BATCHES`] full batches. Within it, rows may be sorted by length; it is cut
//! into batches by the maximum number of rows and of tokens, and these are shuffled if rows are. Ranks take
//! their shares of these batches afterwards, so any number of ranks sees the same batches.

use std::ops::Range;

use super::order::{EpochOrder, Order};
use crate::error::Result;
use crate::progress::Patient;

/// Batches per window: enough for similar lengths, few enough to mix rows.
const WINDOW_BATCHES: usize = 100;

/// How an epoch is divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Maximum rows per batch.
    pub(super) size: usize,
    /// Maximum tokens per batch, padding included.
    pub(super) tokens: Option<usize>,
    /// Whether rows of similar length are grouped.
    pub(super) bucketed: bool,
    pub(super) order: Order,
}

/// Gives the length of a row, padded to a multiple, or the reason it fits no batch.
pub(super) trait Lengths: Fn(u32) -> Result<usize> {}
impl<F: Fn(u32) -> Result<usize>> Lengths for F {}

impl Cut {
    fn window(&self, window: usize, rows: u32) -> Range<usize> {
        let length = self.size.saturating_mul(WINDOW_BATCHES);
        let start = length.saturating_mul(window);
        start.min(rows as usize)..start.saturating_add(length).min(rows as usize)
    }

    fn windows(&self, rows: u32) -> usize {
        (rows as usize).div_ceil(self.size.saturating_mul(WINDOW_BATCHES))
    }

    /// The number of batches; needs lengths only if tokens are limited.
    pub(super) fn count(&self, rows: u32, epoch: u64, lengths: &impl Lengths) -> Result<usize> {
        if self.tokens.is_none() {
            return Ok((rows as usize).div_ceil(self.size));
        }
        let mut batches = 0;
        self.counts(&mut self.order.rows(rows, epoch), rows, lengths, |_, count| batches += count)?;
        Ok(batches)
    }

    /// Counts the batches of each window from the lengths of all rows.
    fn counts(
        &self,
        order: &mut EpochOrder,
        rows: u32,
        lengths: &impl Lengths,
        mut tell: impl FnMut(usize, usize),
    ) -> Result<()> {
        let windows = self.windows(rows);
        let mut progress = Patient::rows(format!("measuring {rows} rows"), windows as u64);
        for window in 0..windows {
            let sorted = self.sorted(order.at(self.window(window, rows)), lengths)?;
            tell(window, self.ends(&sorted).count());
            progress.reach(window as u64 + 1);
        }
        Ok(())
    }

    /// The batches of an epoch, starting at number `batch`.
    pub(super) fn from<L: Lengths>(
        &self,
        rows: u32,
        epoch: u64,
        batch: usize,
        lengths: L,
    ) -> Result<BatchRows<L>> {
        let mut batches = BatchRows {
            cut: *self,
            rows,
            epoch,
            order: self.order.rows(rows, epoch),
            lengths,
            count: (rows as usize).div_ceil(self.size),
            window: 0,
            waiting: Vec::new().into_iter(),
        };
        if self.tokens.is_none() {
            batches.window = batch / WINDOW_BATCHES;
            batches.open()?;
            batches.waiting.by_ref().take(batch % WINDOW_BATCHES).for_each(drop);
            return Ok(batches);
        }
        // The batches of a window depend on its lengths. All windows are measured, so a row that is too long
        // is found before the first batch is made.
        let mut before = 0;
        let mut found = None;
        self.counts(&mut batches.order, rows, &batches.lengths, |window, count| {
            if found.is_none() && batch < before + count {
                found = Some((window, batch - before));
            }
            before += count;
        })?;
        batches.count = before;
        let (window, skipped) = found.unwrap_or((self.windows(rows), 0));
        batches.window = window;
        batches.open()?;
        batches.waiting.by_ref().take(skipped).for_each(drop);
        Ok(batches)
    }

    /// The rows of a window with their lengths, sorted by length if bucketed; the sort is stable. Lengths are
    /// 0 if nothing depends on them.
    fn sorted(&self, rows: Vec<u32>, lengths: &impl Lengths) -> Result<Vec<(u32, usize)>> {
        if !self.bucketed && self.tokens.is_none() {
            return Ok(rows.into_iter().map(|row| (row, 0)).collect());
        }
        let measured = rows.into_iter().map(|row| Ok((row, lengths(row)?)));
        let mut rows = measured.collect::<Result<Vec<_>>>()?;
        if self.bucketed {
            rows.sort_by_key(|(_, length)| *length);
        }
        Ok(rows)
    }

    /// The end of each batch of a window.
    fn ends<'r>(&self, rows: &'r [(u32, usize)]) -> impl Iterator<Item = usize> + use<'r> {
        let (size, budget) = (self.size, self.tokens.unwrap_or(usize::MAX));
        let mut start = 0;
        std::iter::from_fn(move || {
            let mut longest = 0;
            let fits = |(number, (_, length)): &(usize, &(u32, usize))| {
                longest = longest.max(*length);
                // A single row always fits: longer ones were rejected before.
                *number == 0 || longest.saturating_mul(number + 1) <= budget
            };
            let count = rows[start..].iter().take(size).enumerate().take_while(fits).count();
            start += count;
            (count > 0).then_some(start)
        })
    }
}

/// The rows of each batch of an epoch, in order.
#[derive(Debug)]
pub(super) struct BatchRows<L> {
    cut: Cut,
    rows: u32,
    epoch: u64,
    order: EpochOrder,
    lengths: L,
    /// The number of batches of the whole epoch.
    pub(super) count: usize,
    /// The number of the next window.
    window: usize,
    /// The remaining batches of the current window.
    waiting: std::vec::IntoIter<Vec<u32>>,
}

impl<L: Lengths> BatchRows<L> {
    fn open(&mut self) -> Result<()> {
        let rows = self.order.at(self.cut.window(self.window, self.rows));
        let rows = self.cut.sorted(rows, &self.lengths)?;
        let mut start = 0;
        let mut batches: Vec<Vec<u32>> = Vec::new();
        for end in self.cut.ends(&rows) {
            batches.push(rows[start..end].iter().map(|(row, _)| *row).collect());
            start = end;
        }
        // Batches of shuffled, unsorted rows are in random order already.
        if self.cut.bucketed {
            self.cut.order.shuffle_window(&mut batches, self.epoch, self.window);
        }
        self.waiting = batches.into_iter();
        self.window += 1;
        Ok(())
    }
}

impl<L: Lengths> Iterator for BatchRows<L> {
    type Item = Result<Vec<u32>>;

    fn next(&mut self) -> Option<Result<Vec<u32>>> {
        if self.waiting.as_slice().is_empty()
            && let Err(error) = self.open()
        {
            return Some(Err(error));
        }
        self.waiting.next().map(Ok)
    }
}
