//! Losses on some of the teacher's logits: its top k, or tokens drawn from it.
//!
//! The teacher's side is either its dense logits, `(batch, length, classes)` or `(batch, classes)`, from
//! which the loss itself selects; or three tensors from a store: the classes (int64) and their logits, both
//! `(…, k)`, and the logsumexp of all logits, `(…)`, at temperature 1. The student's logits are always dense.

mod known;
mod sampled;
mod top_k;

pub use sampled::SampledKl;
pub use top_k::{TopK, TopKSemantics};

use super::catalogue::Entry;

/// The rows of the catalogue, file by file.
pub(super) const ROWS: &[&[Entry]] = &[top_k::ROWS, sampled::ROWS];
