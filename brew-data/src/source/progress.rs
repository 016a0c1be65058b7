//! A bar for readings that take longer than two seconds.

use std::io::{Read, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Before this, nothing is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// A reader that shows how far it is, on a terminal.
pub(crate) struct Shown<R> {
    reader: R,
    started: Instant,
    read: u64,
    length: u64,
    title: String,
    bar: Option<ProgressBar>,
}

impl<R> Shown<R> {
    pub(crate) fn new(reader: R, path: &Path, doing: &str, length: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let title = format!("{doing} {name}");
        Shown { reader, started: Instant::now(), read: 0, length, title, bar: None }
    }

    fn start(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.length)
            .with_message(self.title.clone())
            .with_elapsed(self.started.elapsed());
        let style =
            ProgressStyle::with_template("{msg} {bar:40} {decimal_bytes}/{decimal_total_bytes}, {eta} left");
        match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let length = self.reader.read(into)?;
        self.read += length as u64;
        if self.bar.is_none() && self.started.elapsed() > PATIENCE {
            self.bar = Some(self.start());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.read);
        }
        Ok(length)
    }
}

impl<R> Drop for Shown<R> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
