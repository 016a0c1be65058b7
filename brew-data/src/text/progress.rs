//! A bar with the time that is left, for work over many rows or bytes.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere; `what` is what is done, as in `tokenising`, to so many things.
pub(crate) fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    match ProgressStyle::with_template("{msg} {bar:40} {percent} %, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
