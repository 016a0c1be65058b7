//! The extreme rows of a data set: those with the smallest and the largest integers of each column, and the
//! first with -100, which is valid only as a label. A model that accepts these rows accepts all integers in
//! the data.

use tch::{Kind, Tensor};

use super::Batch;
use crate::error::Result;
use crate::role::IGNORED;

/// A row that holds an extreme of the data, as [`Batches::extremes`](super::Batches::extremes) gives it.
#[derive(Debug)]
pub struct Extreme<B> {
    /// The row's location and its extremes: ``dev.jsonl, row 7: the largest `input_ids`, 30521``.
    pub row: String,
    /// Two rows: the row twice, or, if its list is empty, the row with another one that makes it padded.
    pub batch: B,
}

/// The kind of extreme in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// But for -100.
    Smallest,
    /// But for -100.
    Largest,
    /// -100: a label that does not count; in any other column an ordinary number.
    Ignored,
}

impl Found {
    fn says(&self) -> String {
        let Found { column, value, .. } = self;
        match self.what {
            What::Smallest => format!("the smallest `{column}`, {value}"),
            What::Largest => format!("the largest `{column}`, {value}"),
            What::Ignored => format!("`{column}` has {value}"),
        }
    }
}

/// The first row with a column's smallest or largest value so far, or with -100.
struct Found {
    column: &'static str,
    what: What,
    value: i64,
    /// The index of the batch and of the row in it.
    place: (usize, i64),
}

/// The extremes of batches in memory.
pub(super) fn of_batches<B: Batch>(batches: &[B]) -> Result<Vec<Extreme<B>>> {
    let mut found: Vec<Found> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        for (column, tensor) in batch.tensors() {
            let integers =
                matches!(tensor.f_kind()?, Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8);
            if !integers || tensor.numel() == 0 || tensor.dim() == 0 {
                continue;
            }
            let rows = tensor.f_reshape([tensor.size()[0], -1])?.f_to_kind(Kind::Int64)?;
            let ignored = rows.f_eq(IGNORED)?;
            let hidden = |value: i64| rows.f_masked_fill(&ignored, value);
            for what in [What::Smallest, What::Largest, What::Ignored] {
                let values = match what {
                    What::Smallest => hidden(i64::MAX)?,
                    What::Largest => hidden(i64::MIN)?,
                    What::Ignored => rows.shallow_clone(),
                };
                let value = match what {
                    What::Smallest => values.f_min()?.f_int64_value(&[])?,
                    What::Largest => values.f_max()?.f_int64_value(&[])?,
                    What::Ignored if ignored.f_any()?.f_int64_value(&[])? != 0 => IGNORED,
                    What::Ignored => continue,
                };
                if matches!(value, i64::MIN | i64::MAX) {
                    continue;
                }
                let known = found.iter_mut().find(|known| known.column == column && known.what == what);
                let beyond = |known: i64| match what {
                    What::Smallest => value < known,
                    What::Largest => value > known,
                    What::Ignored => false,
                };
                if known.as_ref().is_some_and(|known| !beyond(known.value)) {
                    continue;
                }
                let row = values.f_eq(value)?.f_any_dim(1, false)?.f_to_kind(Kind::Int64)?;
                let place = (number, row.f_argmax(0, false)?.f_int64_value(&[])?);
                match known {
                    Some(known) => (known.value, known.place) = (value, place),
                    None => found.push(Found { column, what, value, place }),
                }
            }
        }
    }
    let mut places: Vec<(usize, i64)> = found.iter().map(|found| found.place).collect();
    places.sort_unstable();
    places.dedup();
    let extreme = |place: (usize, i64)| {
        let (number, row) = place;
        let batch = batches[number].map(&mut |_, tensor| {
            let twice = Tensor::f_from_slice(&[row, row])?.f_to_device(tensor.device())?;
            Ok(tensor.f_index_select(0, &twice)?)
        })?;
        let held = found.iter().filter(|found| found.place == place);
        let held: Vec<String> = held.map(Found::says).collect();
        Ok(Extreme { row: format!("batch {number}, row {row}: {}", held.join("; ")), batch })
    };
    places.into_iter().map(extreme).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Batches as _;
    use super::{Kind, Tensor};

    // By hand: -7 and the first -100 are in row 1 of batch 0, 9 is in row 0 of batch 1; floats are ignored.
    #[test]
    fn the_smallest_and_largest_integers_and_the_first_ignored_one_are_found_by_batch_and_row() {
        let ids = |ids: &[i64]| Tensor::from_slice(ids).view([2, 2]);
        let numbers = || Tensor::from_slice(&[0.5_f32, 99.0]);
        let batches = vec![(ids(&[1, 2, -7, -100]), numbers()), (ids(&[9, -100, 3, 4]), numbers())];
        let extremes = batches.extremes().unwrap();
        let rows: Vec<&str> = extremes.iter().map(|extreme| extreme.row.as_str()).collect();
        assert_eq!(
            rows,
            ["batch 0, row 1: the smallest `0`, -7; `0` has -100", "batch 1, row 0: the largest `0`, 9"]
        );
        assert_eq!(extremes[1].batch.0, ids(&[9, -100, 9, -100]));
        assert_eq!(extremes[1].batch.1.kind(), Kind::Float);
    }

    #[test]
    fn data_without_integers_has_none_and_of_ignored_labels_alone_the_first() {
        let ignored = vec![(Tensor::from_slice(&[-100_i64, -100]), Tensor::from_slice(&[1.0_f32, 2.0]))];
        let extremes = ignored.extremes().unwrap();
        assert_eq!(extremes.len(), 1);
        assert_eq!(extremes[0].row, "batch 0, row 0: `0` has -100");
        assert!(Vec::<(Tensor,)>::new().extremes().unwrap().is_empty());
    }
}
