//! The counts of a batch as a list of numbers, which another rank reads.

use tch::Tensor;

use super::{BatchCounts, CountedBy, MaskCounts};
use crate::error::{Error, Result};

/// In place of the pairs that no loss averages over.
const UNCOUNTED: f64 = -1.0;

impl BatchCounts {
    /// The rows; for each mask 1 and its three counts, or 0; then the number of losses plus 1 and their counts, or 0.
    pub(crate) fn to_numbers(&self) -> Result<Vec<f64>> {
        let mut numbers = vec![self.rows as f64];
        for counted in CountedBy::all() {
            let Some(counts) = self.counts.get(&counted) else {
                numbers.push(0.0);
                continue;
            };
            numbers.push(1.0);
            for count in [&counts.rows, &counts.tokens] {
                numbers.push(count.f_double_value(&[])?);
            }
            numbers.push(counts.pairs.as_ref().map_or(Ok(UNCOUNTED), |pairs| pairs.f_double_value(&[]))?);
        }
        let losses = self.losses.as_ref();
        numbers.push(losses.map_or(0.0, |losses| losses.len() as f64 + 1.0));
        for count in losses.into_iter().flatten() {
            numbers.push(count.f_double_value(&[])?);
        }
        Ok(numbers)
    }

    /// The counts that [`BatchCounts::to_numbers`] listed.
    pub(crate) fn from_numbers(numbers: &[f64]) -> Result<Self> {
        let mut numbers = numbers.iter().copied();
        let mut next =
            || numbers.next().ok_or_else(|| Error::invalid("the counts of a batch are incomplete"));
        let rows = next()? as usize;
        let mut counts = std::collections::BTreeMap::new();
        for counted in CountedBy::all() {
            if next()? != 0.0 {
                let mut count = || Ok::<_, Error>(Tensor::from(next()? as f32));
                let (rows, tokens) = (count()?, count()?);
                let pairs = Some(next()?).filter(|pairs| *pairs != UNCOUNTED);
                let pairs = pairs.map(|pairs| Tensor::from(pairs as f32));
                counts.insert(counted, MaskCounts { rows, tokens, pairs });
            }
        }
        let losses = next()?;
        let losses = if losses == 0.0 {
            None
        } else {
            let each = (1..losses as usize).map(|_| Ok(Tensor::from(next()? as f32)));
            Some(each.collect::<Result<_>>()?)
        };
        Ok(BatchCounts { rows, counts, losses })
    }
}
