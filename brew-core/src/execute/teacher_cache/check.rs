//! Verifies the cache against the teacher: recomputes a sample of the rows that are read.
//!
//! The card identifies a teacher, and the key identifies a row. Changes that neither can see, such as in the
//! user's code, are detected by value: two rows of the first, second, fourth, eighth … batch that is read are
//! recomputed. In an epoch of a thousand batches that is twenty rows.

use tch::Kind;

use super::super::Executor;
use super::cached::CachedTeacher;
use crate::adaptor::Adaptor;
use crate::cache::{Recalled, RowKeys, Tolerance, ValueDifference};
use crate::error::{Error, InStage, Result};
use crate::native::{generator_state, set_generator_state};
use crate::pass::Pass;

/// The number of rows of a batch to recompute.
const ROWS: usize = 2;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// How far values may differ and still count as equal up to round-off.
    pub(super) fn tolerance(&self, kept: Kind) -> Tolerance {
        Tolerance::of(kept).or_wider(self.precision.map(Tolerance::of))
    }

    /// Runs the teacher on two rows of a batch that was read, and compares.
    ///
    /// # Errors
    /// A row that differs from the teacher's output, if that output is a function of the row alone.
    pub(super) fn check_rows(
        &self,
        index: usize,
        cached: &CachedTeacher,
        batch: &T,
        keys: &RowKeys,
        recalled: &Recalled,
        pass: &Pass,
    ) -> Result<()> {
        // Keys are hashes: the smallest ones are an arbitrary sample, and the same in every run.
        let mut rows: Vec<usize> = (0..keys.keys.len()).collect();
        rows.sort_by_key(|row| keys.keys.get(*row).copied());
        rows.truncate(ROWS);
        rows.sort_unstable();
        // A teacher that draws random numbers must not change those of the student.
        let state = generator_state(self.device)?;
        let outcome = self.compare(index, cached, batch, keys, (&rows, recalled), pass);
        set_generator_state(self.device, &state)?;
        let Some(difference) = outcome.in_stage(&cached.name)? else { return Ok(()) };
        let row = rows.get(difference.row).copied().unwrap_or_default();
        let key = keys.keys.get(row).map(ToString::to_string).unwrap_or_default();
        let ValueDifference { part, first, second, .. } = difference;
        Err(Error::invalid(format!(
            "row {row} of the batch, whose key is {key}, differs from what {} computes for it: a value of `{part}` is {first} in the cache ({}) but {second} when recomputed. Give the run an empty cache: another folder, or a new `MemoryCache`. If a teacher's output depends on more than the row, such as the step, remove `.teacher_cache(…)`",
            cached.name,
            self.caches.as_ref().map_or("", |caches| caches.place.as_str()),
        )))
    }

    /// The first of these rows that differs; `None` if none does, or, with a warning, if the teacher's output
    /// is not a function of the row.
    fn compare(
        &self,
        index: usize,
        cached: &CachedTeacher,
        batch: &T,
        keys: &RowKeys,
        (rows, recalled): (&[usize], &Recalled),
        pass: &Pass,
    ) -> Result<Option<ValueDifference>> {
        let Some(caches) = &self.caches else { return Ok(None) };
        let teacher = self.teacher(index)?;
        let numbers: Vec<i64> = rows.iter().filter_map(|row| i64::try_from(*row).ok()).collect();
        let few = teacher.rows_of(batch, &numbers)?;
        let compute = |batch: &T, keys: &RowKeys| -> Result<Recalled> {
            let flows = super::top(self.compute(index, cached.adaptor, batch, pass)?, &caches.payload)?;
            cached.as_kept(keys, &flows, &caches.payload, self.device)
        };
        let tolerance = |kept| self.tolerance(kept);
        let (stored, few_keys) = (recalled.of_rows(&numbers)?, keys.of_rows(rows));
        let again = compute(&few, &few_keys)?;
        let Some(difference) = stored.difference(&again, &tolerance)? else { return Ok(None) };
        let once_more = compute(&few, &few_keys)?;
        let among_others = compute(batch, keys)?.of_rows(&numbers)?;
        let why = if again.difference(&once_more, &tolerance)?.is_some() {
            "from one pass to the next"
        } else if again.difference(&among_others, &tolerance)?.is_some() {
            "with the other rows of its batch"
        } else {
            return Ok(Some(difference));
        };
        cached.compares.set(false);
        cached.warn(format!(
            "`{}` of {} changes {why} for the same row: the cache keeps the first value, and its rows are no longer compared with the teacher",
            difference.part, cached.name
        ));
        Ok(None)
    }
}
