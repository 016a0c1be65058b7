//! How the programs on language models distil: the student learns the teacher's distributions of the next token, and
//! beside them the tokens of the text.

use brew_core::loss::{Chunked, Kl, next_token};
use brew_core::model::{CausalLmBatch, CausalLmOutputAdaptor};
use brew_core::prelude::*;

/// A student of a language model.
pub type LanguageModel = Pipeline<CausalLmBatch, CausalLmOutputAdaptor>;

/// Forward KL between the distributions at this temperature, plus `labels` times the cross entropy of the tokens.
///
/// Both come from hidden states and the head's matrices, in chunks: no logits of a whole batch are ever held.
pub fn distilled_from(
    teacher: Seen<CausalLmOutputAdaptor>,
    student: Seen<CausalLmOutputAdaptor>,
    (temperature, labels): (f64, f64),
) -> Result<LanguageModel> {
    let loss = Chunked::of(Kl::at(temperature)).with_labels(labels);
    Distill::new(teacher, student).soft_targets(next_token(loss)).plan()
}
