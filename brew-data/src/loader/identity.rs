//! Describes what batches depend on, which a resuming run compares.

use std::collections::BTreeMap;

use arrow::ipc::writer::StreamWriter;
use brew_core::batch::FromColumns;

use super::Loader;
use super::order::Order;
use crate::augment::MaskedLm;
use crate::augment::masked_lm::WORD_IDS;
use crate::error::{Error, Result};

/// The number of sampled rows that represent a table's values.
const SAMPLED_ROWS: usize = 64;

impl<B: FromColumns> Loader<B> {
    /// Everything the batches depend on, by name.
    ///
    /// The data is represented by a hash of 64 evenly spaced rows and of the numbers of all rows in use. This
    /// detects another table, other columns, another selection, and another order, and a changed value if it
    /// is in one of those rows.
    pub(super) fn describe(&self) -> Result<BTreeMap<String, String>> {
        let order = match self.order {
            Order::Table => "as in the table".to_owned(),
            Order::Shuffled(seed) => format!("shuffled, seed {seed}"),
            Order::Blocks(seed) => format!("shuffled in blocks, seed {seed}"),
        };
        let columns = B::COLUMNS.iter().map(|column| {
            let nested = if column.nested { " nested" } else { "" };
            let pad = column.pad.map_or_else(String::new, |pad| format!(" padded with {pad}"));
            format!("{} {:?}{nested}{pad}", column.name, column.kind)
        });
        // A limit that rejects longer lists changes no batch.
        let lists = match self.dataset.longest_kept() {
            usize::MAX => "whole".to_owned(),
            length => format!("cut to {length}"),
        };
        let augmentation =
            self.augmentation.as_ref().map_or_else(|| "none".to_owned(), |steps| format!("{steps:?}"));
        let masks = self.masked_lm.as_ref().map_or_else(|| "none".to_owned(), |masks| format!("{masks:?}"));
        let settings = [
            ("augmentation", augmentation),
            ("batch size", self.size.to_string()),
            ("buckets", if self.bucketed { "by length" } else { "none" }.to_owned()),
            ("columns", columns.collect::<Vec<_>>().join(", ")),
            ("data", self.fingerprint()?),
            ("lists", lists),
            ("masks", masks),
            ("order", order),
            ("padded to a multiple of", self.multiple.to_string()),
            ("rows", self.dataset.rows().to_string()),
            ("tokens a batch", self.tokens.map_or_else(|| "any".to_owned(), |tokens| tokens.to_string())),
        ];
        Ok(settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn fingerprint(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        let rows = self.dataset.rows();
        for row in 0..rows {
            hasher.update(&(self.dataset.file_row(row) as u32).to_le_bytes());
        }
        let known = self.dataset.columns();
        let declared: Vec<&str> = B::COLUMNS.iter().map(|column| column.name).collect();
        let reads_words = self.masked_lm.as_ref().is_some_and(MaskedLm::needs_words);
        let words = (reads_words && !declared.contains(&WORD_IDS)).then_some(WORD_IDS);
        let columns: Vec<&str> = (declared.into_iter().filter(|name| !self.makes(name)))
            .chain(words)
            .filter(|name| known.contains(name))
            .collect();
        let sampled: Vec<usize> =
            (0..SAMPLED_ROWS.min(rows)).map(|row| row * rows / SAMPLED_ROWS.min(rows)).collect();
        let sample = self.dataset.select(&sampled)?;
        let failed = |error| Error::format(self.dataset.path(), error);
        let (schema, copies) = sample.copies(&columns, SAMPLED_ROWS)?;
        let mut writer = StreamWriter::try_new(&mut hasher, &schema).map_err(failed)?;
        for copy in copies {
            writer.write(&copy?).map_err(failed)?;
        }
        drop(writer);
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }
}
