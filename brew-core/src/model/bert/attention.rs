//! Multi-head self-attention, in two forms that agree.
//!
//! When somebody reads the attention map it is computed step by step and kept; otherwise one fused
//! operation of libtorch does the same without ever holding the map in memory. Queries, keys and
//! values are kept where somebody reads them.

use tch::Tensor;

use super::architecture::Architecture;
use super::config::BertConfig;
use crate::error::{InStage, Result};
use crate::model::parts::{LayerNorm, Linear, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// What somebody reads of the inside of a layer's attention; undefined where nobody does.
#[derive(Debug)]
pub(crate) struct Inside {
    /// `(batch, heads, length, length)`.
    pub(crate) map: Tensor,
    /// `(batch, length, width)`, as the keys and the values.
    pub(crate) query: Tensor,
    pub(crate) key: Tensor,
    pub(crate) value: Tensor,
}

/// Self-attention with the linear layer, the sum and the norm after it.
#[derive(Debug)]
pub(crate) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: i64,
    head_size: i64,
    probability_dropout: f64,
    hidden_dropout: f64,
}

impl Attention {
    /// The attention of the layer whose parameters' names begin with `layer`.
    pub(crate) fn take(weights: &mut Weights, layer: &str, config: &BertConfig) -> Self {
        let width = config.hidden_size;
        let names = config.model_type.layer_names();
        let mut linear = |part: &str| Linear::take(weights, format!("{layer}.{part}"), width, width);
        Attention {
            query: linear(names.query),
            key: linear(names.key),
            value: linear(names.value),
            output: linear(names.attention_output),
            norm: LayerNorm::take(
                weights,
                format!("{layer}.{}", names.attention_norm),
                width,
                config.layer_norm_eps,
            ),
            heads: config.num_attention_heads,
            head_size: config.head_size(),
            probability_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: match config.model_type {
                Architecture::Bert | Architecture::Roberta => config.hidden_dropout_prob,
                Architecture::DistilBert => 0.0,
            },
        }
    }

    /// The same attention: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Attention {
            query: self.query.shallow_clone(),
            key: self.key.shallow_clone(),
            value: self.value.shallow_clone(),
            output: self.output.shallow_clone(),
            norm: self.norm.shallow_clone(),
            ..*self
        }
    }

    /// `(batch, length, width)` to the same shape, and what is wanted of the inside of this layer, of
    /// so many. `mask` is added to the scores: see [`additive_mask`].
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        mask: &Tensor,
        (layer, layers): (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        let wants = pass.wants();
        let keep = |wanted: bool, tensor: &Tensor| {
            if wanted { tensor.shallow_clone() } else { Tensor::new() }
        };
        let (query, key) = (self.query.forward(hidden)?, self.key.forward(hidden)?);
        let value = self.value.forward(hidden)?;
        let mut inside = Inside {
            map: Tensor::new(),
            query: keep(wants.layer::<role::Query>(layer, layers), &query),
            key: keep(wants.layer::<role::Key>(layer, layers), &key),
            value: keep(wants.layer::<role::Value>(layer, layers), &value),
        };
        let (query, key, value) = (self.split(&query)?, self.split(&key)?, self.split(&value)?);
        let context = if wants.layer::<role::Attention>(layer, layers) {
            inside.map = self.map(&query, &key, mask, pass)?;
            inside.map.f_matmul(&value).in_stage("attention")?
        } else {
            self.fused(&query, &key, &value, mask, pass)?
        };
        let joined = context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")?;
        let output = dropout(self.output.forward(&joined)?, self.hidden_dropout, pass)?;
        Ok((self.norm.forward(&output.f_add(hidden).in_stage("attention")?)?, inside))
    }

    /// `(batch, length, width)` to `(batch, heads, length, head_size)`.
    fn split(&self, projected: &Tensor) -> Result<Tensor> {
        Ok(projected.f_unflatten(2, [self.heads, self.head_size])?.f_transpose(1, 2)?)
    }

    /// `softmax(Q Kᵀ / sqrt(head_size) + mask)`, after dropout as transformers returns it.
    fn map(&self, query: &Tensor, key: &Tensor, mask: &Tensor, pass: &Pass) -> Result<Tensor> {
        let scale = 1.0 / (self.head_size as f64).sqrt();
        let scores = query.f_matmul(&key.f_transpose(2, 3)?).in_stage("attention scores")?;
        let masked = scores.f_mul_scalar(scale)?.f_add(mask).in_stage("attention scores")?;
        let map = masked.f_softmax(-1, None).in_stage("attention map")?;
        dropout(map, self.probability_dropout, pass)
    }

    fn fused(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: &Tensor,
        pass: &Pass,
    ) -> Result<Tensor> {
        let dropout = if pass.is_training() { self.probability_dropout } else { 0.0 };
        Tensor::f_scaled_dot_product_attention(query, key, value, Some(mask), dropout, false, None, false)
            .in_stage("fused attention")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        [&self.query, &self.key, &self.value, &self.output]
            .into_iter()
            .flat_map(Linear::parameters)
            .chain(self.norm.parameters())
    }
}

/// What is added to the scores of positions that nobody may attend to.
///
/// Low enough that the softmax of such a score is 0 in every dtype, and yet finite in all of them,
/// half precision too: a row of padding alone gets some mean, where infinity would give NaN.
const HIDDEN_SCORE: f64 = -3e4;

/// `(batch, length)` of 0 and 1 to `(batch, 1, 1, length)` of 0 where the mask is 1 and of a very
/// low score where it is 0, in the dtype of `like`.
pub(crate) fn additive_mask(attention_mask: &Tensor, like: &Tensor) -> Result<Tensor> {
    let kind = like.f_kind().in_stage("attention_mask")?;
    let mask = attention_mask.f_to_kind(kind)?.f_unsqueeze(1)?.f_unsqueeze(1).in_stage("attention_mask")?;
    mask.f_mul_scalar(-HIDDEN_SCORE)?.f_add_scalar(HIDDEN_SCORE).in_stage("attention_mask")
}
