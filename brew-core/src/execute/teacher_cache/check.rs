//! Rows of the cache held against the teacher: a sample of those that are read is computed again.
//!
//! The card says what is known of a teacher, and the key what is known of a row. What neither knows, such
//! as code of the user's own that was changed, shows in the values. Two rows of the first, second, fourth,
//! eighth … batch that is read are computed again: in an epoch of a thousand batches the teacher runs on
//! twenty rows more.

use tch::Kind;

use super::super::Executor;
use super::cached::Cached;
use crate::adaptor::Adaptor;
use crate::cache::{Difference, Recalled, RowKeys, Tolerance};
use crate::error::{Error, InStage, Result};
use crate::native::{generator_state, set_generator_state};
use crate::pass::Pass;

/// Rows of a batch that are computed again.
const ROWS: usize = 2;

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// How far values may be apart that are the same but for round-off.
    pub(super) fn tolerance(&self, kept: Kind) -> Tolerance {
        Tolerance::of(kept).or_wider(self.precision.map(Tolerance::of))
    }

    /// Runs the teacher on two rows of a batch that was read, and compares.
    ///
    /// # Errors
    /// A row that is not what the teacher gives, of a teacher that gives the same for a row each time and
    /// whatever stands beside it.
    pub(super) fn check_rows(
        &self,
        index: usize,
        cached: &Cached,
        batch: &T,
        keys: &RowKeys,
        recalled: &Recalled,
        pass: &Pass,
    ) -> Result<()> {
        // Keys are hashes: the smallest ones are any rows, and the same ones in every run.
        let mut rows: Vec<usize> = (0..keys.keys.len()).collect();
        rows.sort_by_key(|row| keys.keys.get(*row).copied());
        rows.truncate(ROWS);
        rows.sort_unstable();
        // A teacher that draws random numbers must not take them from the student.
        let state = generator_state(self.device)?;
        let outcome = self.compare(index, cached, batch, keys, (&rows, recalled), pass);
        set_generator_state(self.device, &state)?;
        let Some(difference) = outcome.in_stage(&cached.name)? else { return Ok(()) };
        let row = rows.get(difference.row).copied().unwrap_or_default();
        let key = keys.keys.get(row).map(ToString::to_string).unwrap_or_default();
        let Difference { part, first, second, .. } = difference;
        Err(Error::invalid(format!(
            "row {row} of the batch, whose key is {key}, is not what {} gives for it: a value of `{part}` is {first} in the cache ({}), and {second} when computed again. Give the run an empty cache: another folder, or a new `MemoryCache`. Where a teacher's output depends on more than the row, such as the step, leave out `.teacher_cache(…)`",
            cached.name,
            self.caches.as_ref().map_or("", |caches| caches.place.as_str()),
        )))
    }

    /// The first of these rows that differs; `None` where none does, or where the teacher's output is no
    /// function of the row, which is a warning.
    fn compare(
        &self,
        index: usize,
        cached: &Cached,
        batch: &T,
        keys: &RowKeys,
        (rows, recalled): (&[usize], &Recalled),
        pass: &Pass,
    ) -> Result<Option<Difference>> {
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
            "`{}` of {} changes {why} for one and the same row: the cache keeps what came first, and its rows are not compared with the teacher any more",
            difference.part, cached.name
        ));
        Ok(None)
    }
}
