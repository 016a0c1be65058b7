//! The rows of a data set that ask most of a model: those with the smallest and the largest integers of each
//! column. What a model cannot take anywhere in the data it cannot take there.

use tch::{Kind, Tensor};

use super::Batch;
use crate::error::Result;
use crate::role::IGNORED;

/// A row that holds an extreme of the data, as [`Batches::extremes`](super::Batches::extremes) gives it.
#[derive(Debug)]
pub struct Extreme<B> {
    /// Where the row is, and what it holds: ``dev.jsonl, row 7: the largest `input_ids`, 30521``.
    pub row: String,
    /// Two rows: the row twice, or beside another whose list pads its empty one.
    pub batch: B,
}

/// The smallest or largest value of a column so far.
struct Found {
    column: &'static str,
    what: &'static str,
    value: i64,
    /// The batch and its row.
    place: (usize, i64),
}

/// The extremes of batches that are in memory.
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
            for (what, largest) in [("smallest", false), ("largest", true)] {
                let (values, value) = match largest {
                    true => (hidden(i64::MIN)?, hidden(i64::MIN)?.f_max()?),
                    false => (hidden(i64::MAX)?, hidden(i64::MAX)?.f_min()?),
                };
                let value = value.f_int64_value(&[])?;
                if matches!(value, i64::MIN | i64::MAX) {
                    continue;
                }
                let known = found.iter_mut().find(|known| known.column == column && known.what == what);
                let beyond = |known: i64| if largest { value > known } else { value < known };
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
        let held: Vec<String> =
            held.map(|found| format!("the {} `{}`, {}", found.what, found.column, found.value)).collect();
        Ok(Extreme { row: format!("batch {number}, row {row}: {}", held.join("; ")), batch })
    };
    places.into_iter().map(extreme).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Batches as _;
    use super::{Kind, Tensor};

    // By hand: -7 stands in row 1 of batch 0, 9 in row 0 of batch 1; -100 is no value, and floats are not
    // looked at.
    #[test]
    fn the_smallest_and_largest_integers_are_found_by_batch_and_row() {
        let ids = |ids: &[i64]| Tensor::from_slice(ids).view([2, 2]);
        let numbers = || Tensor::from_slice(&[0.5_f32, 99.0]);
        let batches = vec![(ids(&[1, 2, -7, -100]), numbers()), (ids(&[9, -100, 3, 4]), numbers())];
        let extremes = batches.extremes().unwrap();
        let rows: Vec<&str> = extremes.iter().map(|extreme| extreme.row.as_str()).collect();
        assert_eq!(rows, ["batch 0, row 1: the smallest `0`, -7", "batch 1, row 0: the largest `0`, 9"]);
        assert_eq!(extremes[1].batch.0, ids(&[9, -100, 9, -100]));
        assert_eq!(extremes[1].batch.1.kind(), Kind::Float);
    }

    #[test]
    fn data_without_integers_or_of_ignored_labels_alone_has_none() {
        let ignored = vec![(Tensor::from_slice(&[-100_i64, -100]), Tensor::from_slice(&[1.0_f32, 2.0]))];
        assert!(ignored.extremes().unwrap().is_empty());
        assert!(Vec::<(Tensor,)>::new().extremes().unwrap().is_empty());
    }
}
