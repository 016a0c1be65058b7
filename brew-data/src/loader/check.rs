//! Checks what a batch declares against the data, before the first batch is made.
//!
//! All problems are reported, not only the first, so they can be fixed at once.

use brew_core::batch::Column;

use super::column::ColumnReader;
use super::dtype::{fits, is_float, pad_fits};
use crate::augment::masked_lm::WORD_IDS;
use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// Readers for the columns that exist.
///
/// # Errors
/// All at once, types before values: a required column that is missing, a column type or a pad value that
/// does not fit the dtype; then missing values, lists of unequal lengths without a pad value, and lists
/// longer than the table's limit. Also a mapped file that has shrunk.
pub(crate) fn sources(dataset: &Dataset, columns: &[Column]) -> Result<Vec<ColumnReader>> {
    if dataset.rows() == 0 {
        return Err(Error::NoRows { path: dataset.path().into() });
    }
    dataset.check_lengths()?;
    let mut problems = Vec::new();
    let mut sources = Vec::with_capacity(columns.len());
    for column in columns {
        match ColumnReader::new(dataset, *column) {
            Err(Error::MissingColumn { .. }) if column.optional => {}
            Err(problem) => problems.push(mended(problem)),
            Ok(source) => match check_type(dataset, &source) {
                Err(problem) => problems.push(problem),
                Ok(()) => sources.push(source),
            },
        }
    }
    Error::all(problems)?;
    let check = |source: &mut ColumnReader| {
        source.load(dataset)?;
        check_values(dataset, source)
    };
    Error::all(sources.iter_mut().filter_map(|source| check(source).err()).collect())?;
    Ok(sources)
}

/// With the call that gives a table a column which the batch needs and the table lacks.
fn mended(problem: Error) -> Error {
    match problem {
        Error::MissingColumn { path, column, known, .. } => {
            let mend = match column.as_str() {
                "input_ids" | "attention_mask" => ": make it of text by `.tokenize(…)`".to_owned(),
                WORD_IDS => ": make it of text by `Tokenize::text(…).word_ids()`".to_owned(),
                _ => format!(": rename one by `.column(\"…\").as_(\"{column}\")`"),
            };
            Error::MissingColumn { path, column, mend, known }
        }
        other => other,
    }
}

/// Checks that the column's type and pad value fit its dtype.
fn check_type(dataset: &Dataset, source: &ColumnReader) -> Result<()> {
    let Column { name, kind, pad, nested, .. } = source.column;
    let depth_fits = if nested { source.depth == 2 } else { source.depth < 2 };
    if !depth_fits || !(source.is_bits() && is_float(kind) || fits(&source.value_type, kind)) {
        return Err(source.wrong_type(dataset));
    }
    match pad {
        Some(pad) if !pad_fits(pad, kind) => Err(Error::Setting(format!(
            "column `{name}`: the pad value {pad} does not fit the dtype {kind:?}"
        ))),
        _ => Ok(()),
    }
}

/// The first problem of one column's values.
fn check_values(dataset: &Dataset, source: &ColumnReader) -> Result<()> {
    let Column { name, pad, .. } = source.column;
    dataset.refuse_nulls(name)?;
    if let Some(row) = source.row_with_null(dataset) {
        let message = "a value of the list is missing (null): fill it or drop the row";
        return Err(dataset.bad_value(row, name, message));
    }
    if !source.is_list() {
        return Ok(());
    }
    if let Some(limit) = dataset.longest_allowed()
        && let Some(row) = (0..dataset.rows()).find(|&row| source.length(dataset, row) > limit)
    {
        let message = format!(
            "a list of length {}, but the limit is {limit}: cut longer ones with `TooLong::Cut`, or drop the \
             row",
            source.length(dataset, row)
        );
        return Err(dataset.bad_value(row, name, message));
    }
    if pad.is_some() {
        return Ok(());
    }
    let expected = source.length(dataset, 0);
    let inner = (0..dataset.rows()).find_map(|row| source.inner_lengths(dataset, row).next());
    for row in 0..dataset.rows() {
        let length = source.length(dataset, row);
        let other = source.inner_lengths(dataset, row).find(|&length| Some(length) != inner);
        let (length, expected) = match other {
            _ if length != expected => (length, expected),
            Some(length) => (length, inner.unwrap_or(0)),
            None => continue,
        };
        let message = format!(
            "a list of length {length}, but the first row's has length {expected}: \
             give the column of the batch a pad value, as in `#[column(i64, pad = 0)]`"
        );
        return Err(dataset.bad_value(row, name, message));
    }
    Ok(())
}
