//! The counts of a batch as a list of numbers, which another rank reads.

use tch::{Kind, Tensor};

use super::{BatchCounts, CountedBy, MaskCounts};
use crate::error::{Error, Result};

/// In place of the pairs that no loss averages over.
const UNCOUNTED: f64 = -1.0;

impl BatchCounts {
    /// The rows; for each mask 1 and its three counts, or 0; then the number of losses plus 1 and their counts, or 0.
    pub(crate) fn to_numbers(&self) -> Result<Vec<f64>> {
        let masks: Vec<Option<&MaskCounts>> =
            CountedBy::all().map(|counted| self.counts.get(&counted)).collect();
        let of_masks = masks.iter().flatten().flat_map(|counts| {
            [Some(&counts.rows), Some(&counts.tokens), counts.pairs.as_ref()].into_iter().flatten()
        });
        let all: Vec<&Tensor> = of_masks.chain(self.losses.iter().flatten()).collect();
        let mut read = read(&all)?.into_iter();
        let mut numbers = vec![self.rows as f64];
        for counts in masks {
            let Some(counts) = counts else {
                numbers.push(0.0);
                continue;
            };
            numbers.push(1.0);
            numbers.extend(read.by_ref().take(2));
            numbers.extend(if counts.pairs.is_some() { read.next() } else { Some(UNCOUNTED) });
        }
        numbers.push(self.losses.as_ref().map_or(0.0, |losses| losses.len() as f64 + 1.0));
        numbers.extend(read);
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

/// The values of scalars, all at once: on a GPU, each reading waits for the device.
fn read(scalars: &[&Tensor]) -> Result<Vec<f64>> {
    let Some(first) = scalars.first() else { return Ok(Vec::new()) };
    let together = scalars.iter().map(|scalar| Ok(scalar.f_to_device(first.device())?));
    let together = Tensor::f_stack(&together.collect::<Result<Vec<_>>>()?, 0)?;
    Ok(Vec::try_from(together.f_to_kind(Kind::Double)?)?)
}
