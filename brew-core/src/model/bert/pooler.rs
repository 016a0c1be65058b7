//! One vector a sequence: the first token's last hidden state, through a linear layer and tanh.

use tch::Tensor;

use super::config::BertConfig;
use crate::error::{InStage, Result};
use crate::model::parts::Linear;
use crate::model::weights::Weights;

/// The pooler of a BERT.
#[derive(Debug)]
pub(crate) struct Pooler {
    dense: Linear,
}

impl Pooler {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let width = config.hidden_size;
        Pooler { dense: Linear::take(weights, "bert.pooler.dense".to_owned(), width, width) }
    }

    /// `(batch, length, width)` to `(batch, width)`.
    pub(crate) fn forward(&self, hidden: &Tensor) -> Result<Tensor> {
        let first = hidden.f_select(1, 0).in_stage("pooler")?;
        self.dense.forward(&first)?.f_tanh().in_stage("pooler")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> {
        self.dense.parameters().into_iter()
    }
}
