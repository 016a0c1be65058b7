//! The text: each distinct text once, every twentieth held out, whole texts packed into rows.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use brew_core::model::CausalLmBatch;
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{CausalRows, TooLong, Truncate};

use super::Arguments;

/// Of this many texts, one is held out.
const HELD_OUT: usize = 20;

/// The column without another one named.
const COLUMN: &str = "text";

/// A file and its column of texts.
#[derive(Debug, Clone)]
pub(super) struct Source {
    file: PathBuf,
    column: String,
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    /// `FILE` or `FILE:COLUMN`.
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (file, column) = match text.rsplit_once(':') {
            Some((file, column)) if !Path::new(text).exists() => (file, column),
            _ => (text, COLUMN),
        };
        Ok(Source { file: file.into(), column: column.into() })
    }
}

/// Packed rows.
#[derive(Debug)]
pub(super) struct Text {
    /// What is trained on.
    pub(super) train: Dataset,
    /// What is held out of each file.
    pub(super) held_out: Vec<(String, Dataset)>,
    /// What is held out of all of them.
    pub(super) dev: Dataset,
}

impl Text {
    pub(super) fn open(arguments: &Arguments) -> Result<Self> {
        let tokenizer = Tokenizer::from_folder(&arguments.teacher)?;
        let rows = CausalRows::text(COLUMN).truncate(Truncate::End);
        let settings = Tokenize::causal(rows, arguments.length);
        let cache = arguments.run_dir.join("tokens");
        let packed = |name: &Path, texts: Vec<String>| -> Result<Dataset> {
            let texts = table(name, texts)?.tokenize(&tokenizer, &settings, &cache)?;
            Ok(texts.pack(arguments.length, TooLong::Refuse, &cache)?)
        };
        let (mut train, mut dev, mut held_out) = (Vec::new(), Vec::new(), Vec::new());
        for Source { file, column } in &arguments.data {
            let texts = distinct(Dataset::open(file)?.texts(column)?);
            let (mut of_dev, mut of_train) = (Vec::new(), Vec::new());
            for (row, text) in texts.into_iter().enumerate() {
                if row % HELD_OUT == 0 { of_dev.push(text) } else { of_train.push(text) }
            }
            let name = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            held_out.push((name, packed(file, of_dev.clone())?));
            dev.extend(of_dev);
            train.extend(of_train);
        }
        let all = Path::new("the texts of --data");
        Ok(Text { train: packed(all, train)?, held_out, dev: packed(all, dev)? })
    }

    /// What is there, in words.
    pub(super) fn told(&self) -> String {
        format!("{} packed rows to train on, {} held out", self.train.rows(), self.dev.rows())
    }

    /// The first training rows, one per batch.
    pub(super) fn sample(&self, rows: usize) -> Result<Loader<CausalLmBatch>> {
        let rows: Vec<usize> = (0..self.train.rows().min(rows)).collect();
        Ok(self.train.select(&rows)?.batches(1))
    }
}

/// Each text once: a held-out text that is also trained on measures memory.
fn distinct(texts: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.into_iter().filter(|text| !text.trim().is_empty() && seen.insert(text.clone())).collect()
}

fn table(name: &Path, texts: Vec<String>) -> Result<Dataset> {
    let column: ArrayRef = Arc::new(StringArray::from(texts));
    let rows = RecordBatch::try_from_iter([(COLUMN, column)]).map_err(|error| Error::file(name, error))?;
    Ok(Dataset::from_record_batches(name, vec![rows])?)
}
