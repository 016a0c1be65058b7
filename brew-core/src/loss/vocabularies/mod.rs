//! Losses on logits of two tokenizers: what both vocabularies share, or probabilities in order of size.
//!
//! Two models of one tokenizer whose vocabularies are only padded differently need none of these: see
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
