//! Best-fit decreasing: which rows share a packed row (Ding et al., "Fewer truncations improve language modeling",
//! arXiv 2404.10830). A pure function of the lengths.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The rows of each packed row, in the order of their documents. The longest row comes first, the earlier one of two
/// equal lengths before the later one; each goes where it leaves the least room, the earliest of two equal places.
///
/// No length may exceed the capacity.
pub(super) fn best_fit_decreasing(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| Reverse(lengths[row]));
    let mut packed: Vec<Vec<usize>> = Vec::new();
    // The room left, and where.
    let mut rooms = BTreeSet::new();
    for row in order {
        let length = lengths[row];
        let (room, place) = match rooms.range((length, 0)..).next().copied() {
            Some(best) => {
                rooms.remove(&best);
                best
            }
            None => {
                packed.push(Vec::new());
                (capacity, packed.len() - 1)
            }
        };
        packed[place].push(row);
        if room > length {
            rooms.insert((room - length, place));
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_the_reference_fill_two_rows() {
        assert_eq!(best_fit_decreasing(&[6, 5, 4, 3, 2], 10), [vec![0, 2], vec![1, 3, 4]]);
    }

    #[test]
    fn of_equal_lengths_the_earlier_row_comes_first_and_of_equal_room_the_earlier_place() {
        assert_eq!(best_fit_decreasing(&[6, 4, 6, 4], 10), [vec![0, 1], vec![2, 3]]);
        assert_eq!(best_fit_decreasing(&[7, 8, 2, 1], 10), [vec![1, 2], vec![0, 3]]);
        assert!(best_fit_decreasing(&[], 10).is_empty());
    }

    proptest! {
        #[test]
        fn every_row_is_packed_once_within_the_capacity_and_no_two_rows_have_room_for_each_other(
            lengths in prop::collection::vec(1..=64_usize, 0..300),
        ) {
            let packed = best_fit_decreasing(&lengths, 64);
            let mut rows: Vec<usize> = packed.iter().flatten().copied().collect();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
            let mut filled: Vec<usize> =
                packed.iter().map(|rows| rows.iter().map(|&row| lengths[row]).sum()).collect();
            prop_assert!(filled.iter().all(|filled| *filled <= 64));
            filled.sort_unstable();
            prop_assert!(filled.len() < 2 || filled[0] + filled[1] > 64, "{:?}", filled);
            prop_assert_eq!(&packed, &best_fit_decreasing(&lengths, 64));
        }
    }
}
