//! A bar with the time that is left, for work over many rows.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere; `what` is what is done to the rows, as in `tokenising`.
pub(crate) fn bar(what: &'static str, rows: usize) -> ProgressBar {
    let bar = ProgressBar::new(rows as u64).with_message(what);
    match ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rows, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
