//! Arrow data for brew: tables of text or numbers become typed batches.
//!
//! Read these first:
//!
//! 1. [`Dataset::open`] opens Parquet, Arrow, CSV, TSV, JSON, CoNLL, and SQuAD files, folders, and patterns as a
//!    table; [`Dataset::splits`] opens one split of a folder.
//! 2. [`Dataset::column`] renames and casts columns, and turns text labels into class numbers.
//! 3. [`Dataset::tokenize`] turns text into token ids once, with a [`Tokenizer`] and the settings in [`Tokenize`].
//! 4. [`Dataset::batches`] gives a [`Loader`], whose order is a pure function of (seed, epoch). It implements
//!    brew-core's `Batches`, so a `Trainer` runs on it.
//!
//! Then, as needed: [`TeacherStore`] keeps a teacher's features on disk, [`TextClassifier`] predicts with a saved
//! student, [`TextGenerator`] writes with one, [`augment`] varies texts per epoch and masks tokens, [`Answers`] turns
//! logits into answers, [`Stream`] feeds endless data, and [`Storage`] reads from stores other than the local disk.
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
//!
//! Errors name the file, the row or line, and the column, and say how to fix the data ([`enum@Error`]).

// ARCHITECTURE.md lists these rooms, lowest first: none uses one above it.
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
pub use text::causal::{CausalRows, LossOn, Truncate};
pub use text::chat::conversation::Chat;
pub use text::chat::message::Message;
pub use text::chat::template::{ChatTemplate, MarkedText};
pub use text::classifier::{Prediction, TextClassifier};
pub use text::generator::{TextGenerator, Written};
pub use text::questions::Questions;
pub use text::tokenize::Tokenize;
pub use text::tokenizer::{Tokenizer, Tokens};
pub use text::words::{Pieces, Words};

/// What nearly every program that feeds data to brew needs, beside `brew_core::prelude`: tables, batches, and
/// tokens, the teacher store, the classifier, and the generator. Formats and the parts of a task are found by path, such as
/// [`brew_data::Questions`](crate::Questions).
pub mod prelude {
    pub use crate::{Dataset, Loader, TeacherStore, TextClassifier, TextGenerator, Tokenize, Tokenizer};
}
