//! Maps token numbers to vectors, and adds learned positions if the architecture has them.

use tch::Tensor;

use super::config::DecoderConfig;
use super::switches::Positions;
use crate::error::{Error, InStage, Result};
use crate::model::parts::dropout;
use crate::model::weights::Weights;
use crate::pass::Pass;

/// The embeddings of tokens, and of positions if those are learned.
#[derive(Debug)]
pub(crate) struct Embeddings {
    /// `(name of the parameter, table)`.
    tokens: (String, Tensor),
    positions: Option<(String, Tensor)>,
    /// The token whose embedding gets no gradient; -1 for none.
    padding: i64,
    scale: Option<f64>,
    /// `None` for those without dropout there.
    dropout: Option<f64>,
    /// Whether the gradient is always dense, because the head uses the same table.
    dense: bool,
}

impl Embeddings {
    pub(crate) fn take(weights: &mut Weights, config: &DecoderConfig) -> Self {
        let switches = config.model_type.switches();
        let width = config.hidden_size;
        let mut table = |name: &str, rows: i64| {
            let name = format!("{name}.weight");
            let taken = weights.take(&name, &[rows, width]);
            (name, taken)
        };
        let learned = switches.positions == Positions::Learned;
        Embeddings {
            tokens: table(switches.names.tokens, config.vocab_size),
            positions: learned.then(|| table(switches.names.positions, config.max_position_embeddings)),
            // A negative number counts from the end, as in PyTorch.
            padding: match config.pad_token_id.filter(|_| switches.padding_row) {
                Some(pad) if pad < 0 => (config.vocab_size + pad).max(-1),
                Some(pad) => pad,
                None => -1,
            },
            // Rounded to float32, as in transformers.
            scale: switches.scaled_embeddings.then(|| f64::from((width as f64).sqrt() as f32)),
            dropout: config.dropout("embedding_dropout", config.embedding_dropout),
            dense: config.tie_word_embeddings,
        }
    }

    /// `(batch, length)` token numbers and positions `(rows, length)` to `(batch, length, width)`.
    pub(crate) fn forward(&self, input_ids: &Tensor, positions: &Tensor, pass: &Pass) -> Result<Tensor> {
        let table = self.table();
        let sparse = pass.sparse_gradients() && !self.dense;
        let looked_up = Tensor::f_embedding(table, input_ids, self.padding, false, sparse);
        let mut embedded = looked_up.map_err(|error| {
            let rows = table.size().first().copied().unwrap_or(0);
            let error = Error::from(error);
            Error::invalid(format!(
                "`input_ids` must be integers from 0 to {}, the tokens that have an embedding: {error}",
                rows - 1
            ))
        })?;
        if let Some(scale) = self.scale {
            // In the table's dtype, as in transformers.
            let scale = Tensor::f_full([], scale, (table.kind(), table.device()))?;
            embedded = embedded.f_mul(&scale).in_stage("embeddings")?;
        }
        if let Some((name, table)) = &self.positions {
            let places = Tensor::f_embedding(table, positions, -1, false, false).in_stage(name)?;
            embedded = embedded.f_add(&places).in_stage(name)?;
        }
        dropout(embedded, self.dropout, pass)
    }

    /// The embeddings of tokens, `(tokens, width)`.
    pub(crate) fn table(&self) -> &Tensor {
        &self.tokens.1
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let tables = std::iter::once(&self.tokens).chain(&self.positions);
        tables.map(|(name, table)| (name.clone(), table.shallow_clone()))
    }
}
