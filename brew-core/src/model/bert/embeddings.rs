//! Token numbers to vectors: the sum of the embeddings of token, type and position.

use tch::Tensor;

use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::parts::{LayerNorm, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;

const WORDS: &str = "bert.embeddings.word_embeddings.weight";
const POSITIONS: &str = "bert.embeddings.position_embeddings.weight";
const TYPES: &str = "bert.embeddings.token_type_embeddings.weight";

/// The sum of three embeddings, normed.
#[derive(Debug)]
pub(crate) struct Embeddings {
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    norm: LayerNorm,
    /// The token whose embedding gets no gradient; -1 for none.
    padding: i64,
    longest: i64,
    dropout: f64,
}

impl Embeddings {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let width = config.hidden_size;
        Embeddings {
            words: weights.take(WORDS, &[config.vocab_size, width]),
            positions: weights.take(POSITIONS, &[config.max_position_embeddings, width]),
            types: weights.take(TYPES, &[config.type_vocab_size, width]),
            norm: LayerNorm::take(
                weights,
                "bert.embeddings.LayerNorm".to_owned(),
                width,
                config.layer_norm_eps,
            ),
            padding: config.pad_token_id.unwrap_or(-1),
            longest: config.max_position_embeddings,
            dropout: config.hidden_dropout_prob,
        }
    }

    /// `(batch, length)` token numbers and types to `(batch, length, width)`.
    pub(crate) fn forward(
        &self,
        input_ids: &Tensor,
        token_type_ids: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (_, length) = input_ids.size2().in_stage("input_ids")?;
        if length > self.longest {
            return Err(Error::invalid(format!(
                "a sequence has {length} tokens, more than the {} of max_position_embeddings: truncate to that many",
                self.longest
            )));
        }
        let words = look_up(&self.words, input_ids, self.padding, "input_ids")?;
        let types = match token_type_ids {
            Some(types) => look_up(&self.types, types, -1, "token_type_ids")?,
            None => self.types.f_narrow(0, 0, 1).in_stage("token_type_ids")?,
        };
        let positions = self.positions.f_narrow(0, 0, length).in_stage("position_embeddings")?;
        let sum = words.f_add(&types).in_stage("embeddings")?.f_add(&positions).in_stage("embeddings")?;
        dropout(self.norm.forward(&sum)?, self.dropout, pass)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        [(WORDS, &self.words), (POSITIONS, &self.positions), (TYPES, &self.types)]
            .into_iter()
            .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
            .chain(self.norm.parameters())
    }
}

/// The rows of a table that these numbers name.
fn look_up(table: &Tensor, numbers: &Tensor, padding: i64, column: &str) -> Result<Tensor> {
    Tensor::f_embedding(table, numbers, padding, false, false).map_err(|error| {
        let rows = table.size().first().copied().unwrap_or(0);
        let error = Error::from(error);
        Error::invalid(format!(
            "`{column}` must be integers from 0 to {}, the rows of its embedding: {error}",
            rows - 1
        ))
    })
}
