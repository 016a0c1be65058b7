//! Embeds token ids: the normalized sum of token, type and position embeddings.

use tch::{Kind, Tensor};

use super::architecture::Network;
use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::parts::{LayerNorm, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// The sum of the embeddings, followed by a layer norm.
#[derive(Debug)]
pub(crate) struct Embeddings {
    /// The prefix of the parameter names.
    name: String,
    words: Tensor,
    positions: Tensor,
    /// `None` in DistilBERT, which has no token types.
    types: Option<Tensor>,
    norm: LayerNorm,
    /// The token whose embedding gets no gradient; -1 for none.
    padding: i64,
    /// RoBERTa counts positions over the tokens that are not padding; the others over columns.
    positions_by_token: bool,
    longest: i64,
    dropout: f64,
    /// Whether the head uses the table of tokens too, whose gradient is then dense.
    is_tied: bool,
}

impl Embeddings {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig, is_tied: bool) -> Self {
        let width = config.hidden_size;
        let name = format!("{}.embeddings", config.model_type.prefix());
        let mut table =
            |part: &str, rows: i64| weights.take(&format!("{name}.{part}_embeddings.weight"), &[rows, width]);
        Embeddings {
            words: table("word", config.vocab_size),
            positions: table("position", config.max_position_embeddings),
            types: match config.model_type.network() {
                Network::Bert | Network::Roberta => Some(table("token_type", config.type_vocab_size)),
                Network::DistilBert => None,
            },
            norm: LayerNorm::take(weights, format!("{name}.LayerNorm"), width, config.layer_norm_eps),
            name,
            padding: config.pad_token_id.unwrap_or(-1),
            positions_by_token: config.model_type.network() == Network::Roberta,
            longest: config.longest(),
            dropout: config.hidden_dropout_prob,
            is_tied,
        }
    }

    /// The embeddings of tokens, `(tokens, width)`.
    pub(crate) fn table(&self) -> &Tensor {
        &self.words
    }

    /// Maps `(batch, length)` token ids and types to `(batch, length, width)`.
    pub(crate) fn forward(
        &self,
        input_ids: &Tensor,
        token_type_ids: Option<&Tensor>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (_, length) = input_ids.size2().in_stage("input_ids")?;
        if length > self.longest {
            return Err(Error::invalid(format!(
                "a sequence has {length} tokens, more than the {} that max_position_embeddings allows: truncate to that length",
                self.longest
            )));
        }
        let sparse = pass.sparse_gradients() && !self.is_tied;
        let mut sum = look_up(&self.words, input_ids, (self.padding, sparse), "input_ids")?;
        if let Some(table) = &self.types {
            let types = match token_type_ids {
                Some(types) => look_up(table, types, (-1, false), "token_type_ids")?,
                None => table.f_narrow(0, 0, 1).in_stage("token_type_ids")?,
            };
            sum = sum.f_add(&types).in_stage("embeddings")?;
        }
        let positions = if self.positions_by_token {
            let positions = self.token_positions(input_ids)?;
            look_up(&self.positions, &positions, (self.padding, false), "position_ids")?
        } else {
            self.positions.f_narrow(0, 0, length).in_stage("position_embeddings")?
        };
        let sum = sum.f_add(&positions).in_stage("embeddings")?;
        dropout(self.norm.forward(&sum)?, self.dropout, pass)
    }

    /// The position of each token, starting at `padding + 1`; padding has position `padding`.
    fn token_positions(&self, input_ids: &Tensor) -> Result<Tensor> {
        let tokens = input_ids.f_ne(self.padding)?.f_to_kind(Kind::Int64).in_stage("position_ids")?;
        let counted = tokens.f_cumsum(1, Kind::Int64)?.f_mul(&tokens).in_stage("position_ids")?;
        counted.f_add_scalar(self.padding).in_stage("position_ids")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let tables = [("word", Some(&self.words)), ("position", Some(&self.positions))];
        tables
            .into_iter()
            .chain([("token_type", self.types.as_ref())])
            .filter_map(|(part, table)| {
                Some((format!("{}.{part}_embeddings.weight", self.name), table?.shallow_clone()))
            })
            .chain(self.norm.parameters())
    }
}

/// Looks up rows of a table; the table's gradient may be sparse.
fn look_up(table: &Tensor, numbers: &Tensor, (padding, sparse): (i64, bool), column: &str) -> Result<Tensor> {
    Tensor::f_embedding(table, numbers, padding, false, sparse).map_err(|error| {
        let rows = table.size().first().copied().unwrap_or(0);
        let error = Error::from(error);
        Error::invalid(format!(
            "`{column}` must be integers from 0 to {}, the rows of its embedding: {error}",
            rows - 1
        ))
    })
}
