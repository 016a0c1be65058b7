//! Losses on logits of two tokenizers: compare shared tokens, or probabilities in order of size.
//!
//! Two models with the same tokenizer whose vocabularies are only padded differently do not need these: see
//! [`within_vocabulary`](super::within_vocabulary).

mod aligned;
mod alignment;
mod gold;
mod pairs;
mod shared;
mod sorted;
mod texts;
mod uld;

pub use aligned::AlignedUld;
pub use gold::Gold;
pub use shared::SharedTokens;
pub use texts::Merge;
pub use uld::Uld;

use super::catalogue::Entry;

/// The rows of the catalogue, file by file.
pub(super) const ROWS: &[&[Entry]] = &[shared::ROWS, uld::ROWS, aligned::ROWS, gold::ROWS];
