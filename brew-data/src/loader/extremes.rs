//! The rows of a table that ask most of a model: those with the smallest and the largest integers of each
//! column of the batch, the first with -100, which only a label may be, and the one with the longest list.

use std::collections::BTreeMap;

use brew_core::role::IGNORED;

use super::column::ColumnReader;
use crate::arrays::numbers::Numbers;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::progress::Patient;

/// Rows between two progress updates.
const AT_ONCE: usize = 4096;

/// Each such row, of those in use, with what it holds, and the row with the longest list.
pub(super) fn rows(
    dataset: &Dataset,
    sources: &[ColumnReader],
) -> Result<(BTreeMap<usize, String>, Option<usize>)> {
    let mut found: BTreeMap<usize, String> = BTreeMap::new();
    let mut hold = |row: usize, what: String| {
        let held = found.entry(row).or_default();
        if !held.is_empty() {
            held.push_str("; ");
        }
        held.push_str(&what);
    };
    let (rows, mut longest) = (dataset.rows(), None::<(usize, usize, &str)>);
    let title = format!("looking through {rows} rows");
    let mut progress = Patient::rows(title, (rows * sources.len()) as u64);
    for (place, source) in sources.iter().enumerate() {
        let name = source.column.name;
        let mut smallest: Option<(i64, usize)> = None;
        let mut largest: Option<(i64, usize)> = None;
        let mut ignored: Option<usize> = None;
        let mut numbers = Numbers::for_type(&source.value_type, 0);
        for row in 0..rows {
            if row % AT_ONCE == 0 {
                progress.reach((place * rows + row) as u64);
            }
            if source.is_list() {
                let length = source.length(dataset, row);
                if longest.is_none_or(|(known, ..)| length > known) {
                    longest = Some((length, row, name));
                }
            }
            let Some(Numbers::Integers(values)) = &mut numbers else { continue };
            values.clear();
            source.integers(dataset, row, values)?;
            let counted = || values.iter().copied().filter(|value| *value != IGNORED);
            // A label that does not count, and in any other column a number as any other.
            if ignored.is_none() && values.contains(&IGNORED) {
                ignored = Some(row);
            }
            let (Some(low), Some(high)) = (counted().min(), counted().max()) else { continue };
            if smallest.is_none_or(|(known, _)| low < known) {
                smallest = Some((low, row));
            }
            if largest.is_none_or(|(known, _)| high > known) {
                largest = Some((high, row));
            }
        }
        for (which, extreme) in [("smallest", smallest), ("largest", largest)] {
            if let Some((value, row)) = extreme {
                hold(row, format!("the {which} `{name}`, {value}"));
            }
        }
        if let Some(row) = ignored {
            hold(row, format!("`{name}` has {IGNORED}"));
        }
    }
    if let Some((length, row, name)) = longest {
        hold(row, format!("the longest list, {length} values of `{name}`"));
    }
    Ok((found, longest.map(|(_, row, _)| row)))
}
