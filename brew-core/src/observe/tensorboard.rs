//! Writes TensorBoard event files: losses, learning rate, speed and metrics as scalars over optimizer steps.
//!
//! An event file is a sequence of records: the length of the data as u64, a masked CRC-32C of those
//! eight bytes, the data, a masked CRC-32C of it, all little-endian. The data is a protobuf message
//! `Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5 }` with
//! `Summary { repeated Value value = 1 }` and `Value { string tag = 1; float simple_value = 2 }`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Event, Observer};
use crate::error::{Error, Result};

/// Writes events that TensorBoard shows: `tensorboard --logdir FOLDER`.
///
/// Losses are under `loss/`, metrics under `metric/`, beside `learning_rate`, `examples_per_second` and
/// `tokens_per_second`; the x axis is the optimizer step.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: Option<File>,
}

impl TensorBoard {
    /// Creates a new event file in a folder, which is created if missing. TensorBoard shows all files of a
    /// folder as one run, so each process of a resumed run writes its own file.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!(
            "events.out.tfevents.{:010}.{}.{}",
            since.as_secs(),
            since.subsec_nanos(),
            std::process::id()
        );
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|error| Error::file(&path, error))?;
        let mut board = TensorBoard { path, file: Some(file) };
        let mut version = timed(since.as_secs_f64());
        bytes_field(&mut version, 3, b"brain.Event:2");
        board.write(&version);
        Ok(board)
    }

    fn scalars<'s>(&mut self, step: u64, scalars: impl IntoIterator<Item = (&'s str, f64)>) {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut message = Vec::new();
            bytes_field(&mut message, 1, tag.as_bytes());
            message.push(2 << 3 | 5);
            message.extend((value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &message);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = timed(since.as_secs_f64());
        event.push(2 << 3);
        varint(&mut event, step);
        bytes_field(&mut event, 5, &summary);
        self.write(&event);
    }

    /// Writes one record in one piece.
    fn write(&mut self, data: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(length);
        record.extend(masked(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked(data).to_le_bytes());
        if let Err(error) = file.write_all(&record) {
            let told = format!(
                "warning: {}: {error}; no further TensorBoard events are written",
                self.path.display()
            );
            let _ = writeln!(std::io::stderr(), "{told}");
            self.file = None;
        }
    }
}

impl Observer for TensorBoard {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(report) => {
                let Some(losses) = &report.losses else { return };
                let tags: Vec<(String, f64)> =
                    losses.iter().map(|(name, value)| (format!("loss/{name}"), *value)).collect();
                let losses = tags.iter().map(|(tag, value)| (tag.as_str(), *value));
                let rest = [
                    ("learning_rate", report.learning_rate),
                    ("examples_per_second", report.examples_per_second),
                ];
                let tokens = report.tokens_per_second.map(|speed| ("tokens_per_second", speed));
                self.scalars(report.step, losses.chain(rest).chain(tokens));
            }
            Event::Evaluated { step, metric, value, .. } => {
                self.scalars(*step, [(format!("metric/{metric}").as_str(), *value)]);
            }
            _ => {}
        }
    }
}

/// A message with its wall time.
fn timed(seconds: f64) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend(seconds.to_le_bytes());
    message
}

fn bytes_field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// The masked checksum that records store, so that checksums over data that contains checksums stay strong.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), bit by bit: a record has only about a hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }
}
