//! Arrow data for brew: tables of text or numbers become typed batches.
//!
//! A [`Dataset`] is a table: opened from Arrow, Parquet, CSV, JSON lines or annotated text, selected by
//! row, and tokenised once into an Arrow cache. A [`Loader`] walks it in an order that is a pure function of
//! (seed, epoch), and implements brew-core's `Batches`.
//!
//! ```
//! use brew_data::prelude::*;
//!
//! # fn main() -> brew_data::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("reviews.tsv");
//! # std::fs::write(&path, "text\trating\nfine\t1.5\nno\t0\nbad\t-2\n").unwrap();
//! let reviews = Dataset::open(&path)?;
//! let ratings = reviews.floats("rating")?;
//! let rated: Vec<usize> = (0..reviews.rows()).filter(|&row| ratings[row] != 0.0).collect();
//! let reviews = reviews.with_integers("labels", ratings.iter().map(|&rating| i64::from(rating > 0.0)))?;
//! let reviews = reviews.select(&rated)?;
//! assert_eq!(reviews.integers("labels")?, [1, 0]);
//! # Ok(())
//! # }
//! ```

mod arrays;
pub mod augment;
mod dataset;
mod disk;
mod error;
mod loader;
mod parse;
mod progress;
mod random;
mod source;
mod store;
mod text;

pub use bytes::Bytes;
pub use dataset::{Classes, Dataset, Recast, Splits, TooLong};
pub use error::{Error, Result};
pub use loader::Loader;
pub use loader::order::epoch_order;
pub use loader::stream::Stream;
pub use parse::conll::Conll;
pub use parse::delimited::Delimited;
pub use parse::layout::Layout;
pub use source::format::Format;
pub use source::storage::{Disk, Object, Storage};
pub use store::{OnDisk, TeacherStore};
pub use text::answers::{Answer, Answers};
pub use text::classifier::{Prediction, TextClassifier};
pub use text::questions::Questions;
pub use text::tokenize::Tokenize;
pub use text::tokenizer::{Tokenizer, Tokens};
pub use text::words::{Pieces, Words};

/// What a program that feeds data to brew needs in scope, beside `brew_core::prelude`.
pub mod prelude {
    pub use crate::{
        Classes, Conll, Dataset, Delimited, Format, Layout, Loader, TeacherStore, TextClassifier, Tokenize,
        Tokenizer,
    };
}
