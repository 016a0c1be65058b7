//! Roles of a user's own, in every place that takes a role.

use brew_core::prelude::*;
use brew_core::adaptor::Provides;

use crate::page::{Prediction, Review};

/// One vector a sentence: `(batch, width)`.
#[derive(Debug)]
pub struct SentenceEmbedding;

impl role::Role for SentenceEmbedding {
    const NAME: &'static str = "sentence_embedding";
}

/// Which tokens are names: `(batch, length)`.
#[derive(Debug)]
pub struct Names;

impl role::Role for Names {
    const NAME: &'static str = "names";
}

/// A field with two roles, one of them a user's own, and a column with another.
#[distill(batch = Review, self::Names = attention_mask)]
#[derive(Debug)]
pub struct Embedded {
    #[role(self::SentenceEmbedding)]
    #[role(logits)]
    embedding: Tensor,
}

/// A function that gives a role of the user's own.
#[derive(Debug)]
pub struct EmbeddingView;

#[adaptor]
impl EmbeddingView {
    #[role(crate::own_roles::SentenceEmbedding)]
    fn embedding(_batch: &Review, output: &Prediction) -> Tensor {
        output.logits.shallow_clone()
    }
}

/// Each role is provided.
pub fn provided()
where
    EmbeddedAdaptor: Provides<SentenceEmbedding> + Provides<Names> + Provides<role::Logits>,
    EmbeddingView: Provides<SentenceEmbedding>,
{
}
