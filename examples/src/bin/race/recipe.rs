//! What every side of the race is given alike: the data and its split, the batches, and the schedule.

use std::path::PathBuf;

use brew_core::batch::FromColumns;
use brew_core::prelude::*;
use brew_data::prelude::*;
use clap::ValueEnum;
use examples::{Reviews, open_reviews};

/// The longest text, in tokens.
const LENGTH: usize = 64;

/// Which reviews are trained on, and in which batches.
#[derive(Debug, clap::Args)]
pub(crate) struct Recipe {
    /// The reviews.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Where tokens are kept.
    #[arg(long, value_name = "DIR")]
    tokens: PathBuf,
    /// Only N training reviews, spread evenly.
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) epochs: u64,
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,
}

/// The order of rows in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Any rows in a batch, as PyTorch's DataLoader does.
    Random,
    /// Batches of rows with similar lengths.
    Bucketed,
}

impl Recipe {
    /// The tokenized reviews.
    pub(crate) fn reviews(&self, tokenizer: &Tokenizer) -> Result<Reviews> {
        open_reviews(&self.data, (tokenizer, LENGTH), self.rows, &self.tokens)
    }

    /// The training batches of all epochs, made by one thread beside those of libtorch.
    pub(crate) fn batches<B: FromColumns>(&self, train: &Dataset, order: Order) -> Loader<B> {
        let batches = train.batches::<B>(self.batch).shuffled(self.seed.into()).workers(1);
        if order == Order::Bucketed { batches.bucketed() } else { batches }
    }
}

/// The learning rate over the run.
pub(crate) fn schedule() -> Decay {
    Decay::linear().with_warmup(0.1)
}
