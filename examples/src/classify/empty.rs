//! Refuses rows without text.

use brew_core::{Error, Result};
use brew_data::prelude::*;

use super::Columns;

/// The rows that an error lists.
const LISTED: usize = 5;

/// Refuses texts that are empty or nothing but white space; no tokens would be left to learn from.
pub(super) fn refuse(table: &Dataset, columns: &Columns) -> Result<()> {
    for column in columns.of_texts() {
        let texts = table.texts(column)?;
        let empty: Vec<usize> = (0..texts.len()).filter(|row| texts[*row].trim().is_empty()).collect();
        if !empty.is_empty() {
            let rows: Vec<String> = empty.iter().take(LISTED).map(usize::to_string).collect();
            let more = if empty.len() > LISTED { ", …" } else { "" };
            return Err(Error::file(
                table.path(),
                format!(
                    "column `{column}` has no text in {} of {} rows (counted from 0: {}{more}): remove these rows, or fill them",
                    empty.len(),
                    texts.len(),
                    rows.join(", ")
                ),
            ));
        }
    }
    Ok(())
}
