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
    /// As given.
    name: String,
    file: PathBuf,
    column: String,
}

impl Source {
    fn texts(&self) -> Result<Vec<String>> {
        let data = Dataset::open(&self.file)?;
        let field = data.schema().field_with_name(&self.column).ok();
        if field.and_then(|field| field.extension_type_name()) == Some("arrow.json") {
            return Err(Error::invalid(format!(
                "--data {}: the column holds lists of objects, such as chats; a column of plain text is needed",
                self.name
            )));
        }
        Ok(data.texts(&self.column)?)
    }
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    /// `FILE` or `FILE:COLUMN`.
    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (file, column) = match text.rsplit_once(':') {
            Some((file, column)) if !Path::new(text).exists() => (file, column),
            _ => (text, COLUMN),
        };
        Ok(Source { name: text.into(), file: file.into(), column: column.into() })
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
        // Each text once in all files: one that is held out and trained on measures memory.
        let mut seen = HashSet::new();
        for source in &arguments.data {
            let mut texts = source.texts()?;
            texts.retain(|text| !text.trim().is_empty() && seen.insert(text.clone()));
            if texts.len() < 2 {
                return Err(Error::invalid(format!(
                    "--data {}: {} texts that are neither empty nor repeated; at least 2 are needed, one of them to be held out",
                    source.name,
                    texts.len()
                )));
            }
            let (mut of_dev, mut of_train) = (Vec::new(), Vec::new());
            for (row, text) in texts.into_iter().enumerate() {
                if row % HELD_OUT == 0 { of_dev.push(text) } else { of_train.push(text) }
            }
            held_out.push((source.name.clone(), packed(&source.file, of_dev.clone())?));
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

    /// Training rows from the longest texts to the shortest, one per batch: packed rows are in that order.
    pub(super) fn sample(&self, rows: usize) -> Result<Loader<CausalLmBatch>> {
        let (all, rows) = (self.train.rows(), rows.min(self.train.rows()));
        let spread: Vec<usize> = (0..rows).map(|row| row * all / rows).collect();
        Ok(self.train.select(&spread)?.batches(1))
    }
}

fn table(name: &Path, texts: Vec<String>) -> Result<Dataset> {
    let column: ArrayRef = Arc::new(StringArray::from(texts));
    let rows = RecordBatch::try_from_iter([(COLUMN, column)]).map_err(|error| Error::file(name, error))?;
    Ok(Dataset::from_record_batches(name, vec![rows])?)
}
