//! A run's position in its data, as a few numbers that survive a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Batches, Walk};
use crate::error::{Error, Result};

/// The next batch of a stream, and the settings that the stream's batches depend on.
///
/// It counts the batches that were handed out, not those that were prefetched. It stores none of the data:
/// the order of an epoch is recomputed.
///
/// ```
/// use brew_core::batch::{Batches, Position};
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let batches: Vec<(Tensor,)> = (0..5_i64).map(|number| (Tensor::from_slice(&[number]),)).collect();
/// let mut walk = Position::start(&batches)?.walk(&batches)?;
/// walk.next();
/// walk.next();
/// let saved = walk.state().clone();
///
/// let left: Vec<_> = saved.walk(&batches)?.collect::<Result<_>>()?;
/// assert_eq!(left.len(), 3);
/// assert_eq!(left[0].0, Tensor::from_slice(&[2_i64]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch, from 0.
    pub epoch: u64,
    /// The next batch of that epoch, from 0: the number of batches handed out.
    pub batch: usize,
    /// What the batches depend on: see [`Batches::settings`].
    pub settings: BTreeMap<String, String>,
}

impl Position {
    /// The position before the first batch of the first epoch.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn start<D: Batches + ?Sized>(data: &D) -> Result<Self> {
        Ok(Position { epoch: 0, batch: 0, settings: data.settings()? })
    }

    /// The batches from here to the end of the epoch.
    ///
    /// # Errors
    /// Those of [`Position::check`] and of [`Batches::epoch_from`].
    pub fn walk<'d, D: Batches + ?Sized>(&self, data: &'d D) -> Result<Counted<'d, D::Batch>> {
        self.check(data)?;
        Ok(Counted { position: self.clone(), batches: data.epoch_from(self.epoch, self.batch)? })
    }

    /// The position before the first batch of the next epoch.
    #[must_use]
    pub fn next_epoch(&self) -> Self {
        Position { epoch: self.epoch + 1, batch: 0, settings: self.settings.clone() }
    }

    /// Checks that this data and its settings are those in which the position was taken.
    ///
    /// # Errors
    /// Every difference in data or settings, by name with both values.
    pub fn check<D: Batches + ?Sized>(&self, data: &D) -> Result<()> {
        let found = data.settings()?;
        let names: std::collections::BTreeSet<&String> = self.settings.keys().chain(found.keys()).collect();
        let value = |values: &BTreeMap<String, String>, name| {
            values.get(name).cloned().unwrap_or_else(|| "not set".to_owned())
        };
        let differing: Vec<String> = names
            .into_iter()
            .filter(|name| self.settings.get(*name) != found.get(*name))
            .map(|name| format!("{name}: {} then, {} now", value(&self.settings, name), value(&found, name)))
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the run cannot resume: the data or its settings have changed: {}; \
             give it the same data and settings, or start a new run",
            differing.join("; ")
        )))
    }
}

/// The batches of an epoch, and the position after each of them; made by [`Position::walk`].
pub struct Counted<'d, B> {
    position: Position,
    batches: Walk<'d, B>,
}

impl<B> std::fmt::Debug for Counted<'_, B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Counted").field("position", &self.position).finish_non_exhaustive()
    }
}

impl<B> Counted<'_, B> {
    /// The position of the next batch.
    pub fn state(&self) -> &Position {
        &self.position
    }
}

impl<B> Iterator for Counted<'_, B> {
    type Item = Result<B>;

    fn next(&mut self) -> Option<Result<B>> {
        let batch = self.batches.next()?;
        // A batch that failed was not handed out.
        self.position.batch += usize::from(batch.is_ok());
        Some(batch)
    }
}
