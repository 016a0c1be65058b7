//! Tests with two rows whether a teacher's features depend on the padding.
//!
//! The two shortest rows of the first batch are cut to the length of the shortest, or to half of it if the
//! whole batch is that short, and run twice: without padding, and padded to the batch's length. The test
//! therefore works even if no row of that batch is padded.

use tch::Device;

use super::super::Executor;
use super::cached::CachedTeacher;
use crate::adaptor::Adaptor;
use crate::cache::{Payload, Recalled, RowKeys, Whole};
use crate::error::{InStage, Result};
use crate::pass::{Pass, Wants};

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// A forward pass outside of any step.
    pub(super) fn bare_pass(&self) -> Pass {
        Pass::evaluation(Wants::nothing()).with_argument(self.pipeline.argument.clone())
    }

    /// Whether a second pass over the same rows gives the same result.
    fn repeats(&self, first: &Recalled, again: impl Fn() -> Result<(Vec<usize>, Recalled)>) -> Result<bool> {
        let tolerance = |kept| self.tolerance(kept);
        Ok(first.difference(&again()?.1, &tolerance)?.is_none())
    }

    /// Runs a teacher on two short rows, and returns the bytes of a row of the batch's length, part by part.
    /// If padding changes the features, the cache stores rows by length from now on.
    ///
    /// # Errors
    /// Those of the teacher, and features that cannot be stored row by row.
    pub(super) fn try_padding(
        &self,
        index: usize,
        cached: &mut CachedTeacher,
        batch: &T,
        keys: &RowKeys,
        payload: &Payload,
    ) -> Result<Vec<usize>> {
        let teacher = self.teacher(index)?;
        let mut rows: Vec<usize> = (0..keys.keys.len()).collect();
        rows.sort_by_key(|row| keys.tokens.get(*row).copied());
        rows.truncate(2);
        let numbers: Vec<i64> = rows.iter().filter_map(|row| i64::try_from(*row).ok()).collect();
        let shortest = rows.first().and_then(|row| keys.tokens.get(*row).copied()).unwrap_or_default();
        let rows = teacher.rows_of(batch, &numbers)?;
        let pass = self.bare_pass();
        let run = |batch: &T| -> Result<(Vec<usize>, Recalled)> {
            let keys = teacher.row_keys(batch)?;
            let flows = super::top(self.compute(index, cached.adaptor, batch, &pass)?, payload)?;
            let sizes = cached.wholes(&keys, &flows, payload)?.iter().map(Whole::row_bytes).collect();
            Ok((sizes, cached.as_kept(&keys, &flows, payload, Device::Cpu)?))
        };
        if keys.length == 0 {
            // Nothing is padded.
            return Ok(run(&rows).in_stage(&cached.name)?.0);
        }
        let short = if shortest < keys.length { shortest.max(1) } else { keys.length.div_ceil(2) };
        // A batch of single tokens is padded to two.
        let long = keys.length.max(short + 1);
        let cut_and_padded = |length| run(&teacher.padded(&rows, &keys.padded, short, length)?);
        let (short, padded) = (cut_and_padded(short), cut_and_padded(long));
        let warning = match (&short, &padded) {
            (Ok((_, short)), Ok((_, padded))) => {
                let tolerance = |kept| self.tolerance(kept);
                match padded.difference(short, &tolerance)? {
                    Some(difference) if self.repeats(padded, || cut_and_padded(long))? => Some(format!(
                        "`{}` of {} depends on the padding of a row",
                        difference.part, cached.name
                    )),
                    // Features that change with every pass are detected when rows are compared.
                    _ => None,
                }
            }
            (Err(error), _) | (_, Err(error)) => {
                Some(format!("{} cannot run at a different length ({error})", cached.name))
            }
        };
        let sizes = match (long == keys.length, padded, short) {
            (true, Ok((sizes, _)), _) | (false, _, Ok((sizes, _))) => sizes,
            _ => run(&rows).in_stage(&cached.name)?.0,
        };
        if let Some(warning) = warning {
            cached.follows_padding = true;
            cached.warn(format!(
                "{warning}: a cached row only serves batches of the same padded length; pad to one length, or make the teacher mask its padding"
            ));
        }
        Ok(sizes)
    }
}
