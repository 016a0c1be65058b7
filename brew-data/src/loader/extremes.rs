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
    let title = format!("scanning {rows} rows");
    let mut progress = Patient::rows(title, (rows * sources.len()) as u64);
    for (place, source) in sources.iter().enumerate() {
        let name = source.column.name;
        let mut extremes = ColumnExtremes::default();
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
            extremes.see(row, values);
        }
        for (which, extreme) in [("smallest", extremes.smallest), ("largest", extremes.largest)] {
            if let Some((value, row)) = extreme {
                hold(row, format!("the {which} `{name}`, {value}"));
            }
        }
        if let Some(row) = extremes.ignored {
            hold(row, format!("`{name}` has {IGNORED}"));
        }
    }
    if let Some((length, row, name)) = longest {
        hold(row, format!("the longest list, {length} values of `{name}`"));
    }
    Ok((found, longest.map(|(_, row, _)| row)))
}

/// The extreme values of one column so far, with their rows.
#[derive(Default)]
struct ColumnExtremes {
    smallest: Option<(i64, usize)>,
    largest: Option<(i64, usize)>,
    /// The first row with an ignored label: in any other column, it is a number like any other.
    ignored: Option<usize>,
}

impl ColumnExtremes {
    fn see(&mut self, row: usize, values: &[i64]) {
        if self.ignored.is_none() && values.contains(&IGNORED) {
            self.ignored = Some(row);
        }
        for &value in values.iter().filter(|value| **value != IGNORED) {
            if self.smallest.is_none_or(|(known, _)| value < known) {
                self.smallest = Some((value, row));
            }
            if self.largest.is_none_or(|(known, _)| value > known) {
                self.largest = Some((value, row));
            }
        }
    }
}
