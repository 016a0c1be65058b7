//! What a batch declares against what the data holds, before the first row is read.
//!
//! Every problem is found, not only the first: a person mends a table once.

use brew_core::batch::Column;

use super::column::Source;
use super::numbers::{fits, pad_fits};
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// The sources of the columns that are there.
///
/// # Errors
/// All at once: a column that is missing and not optional, of a type that its dtype cannot hold, with
/// a missing value, with lists of unequal lengths and nothing to pad them with, or with a pad value
/// that its dtype cannot hold.
pub(crate) fn sources(dataset: &Dataset, columns: &[Column]) -> Result<Vec<Source>> {
    if dataset.rows() == 0 {
        return Err(Error::NoRows { path: dataset.path().into() });
    }
    let mut problems = Vec::new();
    let mut sources = Vec::with_capacity(columns.len());
    for column in columns {
        match Source::new(dataset, *column) {
            Err(_) if column.optional => {}
            Err(missing) => problems.push(missing),
            Ok(source) => match check(dataset, &source) {
                Err(problem) => problems.push(problem),
                Ok(()) => sources.push(source),
            },
        }
    }
    Error::all(problems).map(|()| sources)
}

/// The first problem of one column.
fn check(dataset: &Dataset, source: &Source) -> Result<()> {
    let Column { name, kind, pad, .. } = source.column;
    if !fits(source.value_type(), kind) {
        return Err(source.wrong_type(dataset, kind));
    }
    if let Some(pad) = pad
        && !pad_fits(pad, kind)
    {
        return Err(Error::Setting(format!(
            "column `{name}`: the pad value {pad} does not fit the dtype {kind:?}"
        )));
    }
    dataset.refuse_nulls(name)?;
    if let Some(row) = source.row_with_null(dataset) {
        return Err(dataset.bad_value(
            row,
            name,
            "a value of the list is missing (null): fill it or leave the row out",
        ));
    }
    if source.is_list() && pad.is_none() {
        let expected = source.length(dataset, 0);
        let other = (1..dataset.rows()).map(|row| (row, source.length(dataset, row)));
        if let Some((row, length)) = other.into_iter().find(|(_, length)| *length != expected) {
            let message = format!(
                "a list of length {length}, but the first row's has length {expected}: \
                 give the column of the batch a pad value, as in `#[column(i64, pad = 0)]`"
            );
            return Err(dataset.bad_value(row, name, message));
        }
    }
    Ok(())
}
