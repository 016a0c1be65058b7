//! The text: tokenised, every twentieth held out, whole texts packed into rows.

use brew_core::model::CausalLmBatch;
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{CausalRows, TooLong, Truncate};

use super::Arguments;

/// Every text of this number is held out.
const HELD_OUT: usize = 20;

/// Packed rows.
#[derive(Debug)]
pub(super) struct Text {
    /// What is trained on.
    pub(super) train: Dataset,
    /// What is evaluated on.
    pub(super) dev: Dataset,
}

impl Text {
    pub(super) fn open(arguments: &Arguments) -> Result<Self> {
        let texts = Dataset::open(&arguments.data)?;
        let tokenizer = Tokenizer::from_folder(&arguments.teacher)?;
        let rows = CausalRows::text(&arguments.text).truncate(Truncate::End);
        let settings = Tokenize::causal(rows, arguments.length);
        let cache = arguments.run_dir.join("tokens");
        let packed = |held_out: bool| -> Result<Dataset> {
            let rows: Vec<usize> =
                (0..texts.rows()).filter(|row| (row % HELD_OUT == 0) == held_out).collect();
            Ok(texts.select(&rows)?.tokenize(&tokenizer, &settings, &cache)?.pack(
                arguments.length,
                TooLong::Refuse,
                &cache,
            )?)
        };
        Ok(Text { train: packed(false)?, dev: packed(true)? })
    }

    /// What is there, in words.
    pub(super) fn told(&self) -> Result<String> {
        Ok(format!("{} training and {} held-out rows", self.train.rows(), self.dev.rows()))
    }

    /// The first training rows, one per batch.
    pub(super) fn sample(&self, rows: usize) -> Result<Loader<CausalLmBatch>> {
        let rows: Vec<usize> = (0..self.train.rows().min(rows)).collect();
        Ok(self.train.select(&rows)?.batches(1))
    }
}
