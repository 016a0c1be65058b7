//! Progress bars with the remaining time, for work over many rows or bytes; nothing is shown outside a
//! terminal.

use std::io::{Read, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// No bar is shown before this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// A progress bar that appears once the work turns out to take long.
pub(crate) struct Patient {
    title: String,
    template: &'static str,
    length: u64,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Patient {
    /// A bar over `length` rows; `title` names the work, such as `shuffling 30000000 rows`.
    pub(crate) fn rows(title: String, length: u64) -> Self {
        Self::new(title, "{msg} {bar:40} {percent} %, {eta} left", length)
    }

    fn new(title: String, template: &'static str, length: u64) -> Self {
        Patient { title, template, length, started: Instant::now(), bar: None }
    }

    /// Sets how far the work has come.
    pub(crate) fn reach(&mut self, position: u64) {
        if self.bar.is_none() && self.started.elapsed() > PATIENCE {
            let bar = ProgressBar::new(self.length)
                .with_message(self.title.clone())
                .with_elapsed(self.started.elapsed());
            self.bar = Some(match ProgressStyle::with_template(self.template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            });
        }
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A reader that shows its progress.
pub(crate) struct Shown<R> {
    reader: R,
    read: u64,
    progress: Patient,
}

impl<R> Shown<R> {
    pub(crate) fn new(reader: R, path: &Path, doing: &str, length: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let template = "{msg} {bar:40} {decimal_bytes}/{decimal_total_bytes}, {eta} left";
        Shown { reader, read: 0, progress: Patient::new(format!("{doing} {name}"), template, length) }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let length = self.reader.read(into)?;
        self.read += length as u64;
        self.progress.reach(self.read);
        Ok(length)
    }
}

/// A bar that appears at once; `what` names the work, such as `tokenising`.
pub(crate) fn bar(what: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    match ProgressStyle::with_template("{msg} {bar:40} {percent} %, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
