//! Multi-head self-attention, in two forms that agree.
//!
//! If the attention map is wanted, it is computed step by step and kept; otherwise one fused operation,
//! libtorch's or brew's own, does the same without materializing the map. Queries, keys and values are kept
//! if they are wanted.

use tch::{Device, Kind, Tensor};

use super::architecture::Network;
use super::attended::Attended;
use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::layer_outputs::Inside;
use crate::model::parts::{LayerNorm, Linear, dropout, dropout_and_add, forward_together};
use crate::model::weights::Weights;
use crate::native::ffi;
use crate::pass::Pass;
use crate::role;

/// Self-attention, followed by a linear layer, the residual sum and the norm.
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
    /// `None` in DistilBERT, which has no dropout there.
    hidden_dropout: Option<f64>,
}

impl Attention {
    /// The attention of the layer whose parameter names begin with `layer`.
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
            hidden_dropout: match config.model_type.network() {
                Network::Bert | Network::Roberta => Some(config.hidden_dropout_prob),
                Network::DistilBert => None,
            },
        }
    }

    /// The same attention, with shared parameters.
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

    /// Maps `(batch, length, width)` to the same shape, and returns the wanted internals of this layer.
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        attended: &Attended,
        (layer, layers): (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        let wants = pass.wants();
        let keep = |wanted: bool, tensor: &Tensor| {
            if wanted { tensor.shallow_clone() } else { Tensor::new() }
        };
        let given = forward_together(&[&self.query, &self.key, &self.value], hidden, pass)?;
        let joined = attended.without_the_alone(&given)?;
        let mask = &attended.scores_in(joined.kind())?;
        let [query, key, value] = three_parts(&joined)?;
        let mut inside = {
            // From the original tensors: a loss may have a gradient where attention has none.
            let [query, key, value] = match attended.alone {
                Some(_) => three_parts(&given)?,
                None => [query.shallow_clone(), key.shallow_clone(), value.shallow_clone()],
            };
            Inside {
                map: Tensor::new(),
                query: keep(wants.layer::<role::Query>(layer, layers), &query),
                key: keep(wants.layer::<role::Key>(layer, layers), &key),
                value: keep(wants.layer::<role::Value>(layer, layers), &value),
            }
        };
        let wants_map = wants.layer::<role::Attention>(layer, layers);
        let probability = pass.dropout(self.probability_dropout);
        // libtorch has no fused CPU kernel with dropout, and draws the masks slowly.
        let slow_to_drop = probability != 0.0 && joined.device() == Device::Cpu;
        let context = if slow_to_drop && !wants_map && joined.kind() == Kind::Float {
            ffi::attention(&joined, mask, self.heads, probability)?
        } else {
            let (query, key, value) = (self.split(&query)?, self.split(&key)?, self.split(&value)?);
            let context = if wants_map || slow_to_drop || attended.nothing {
                let map = self.map(&query, &key, mask, pass)?;
                let context = map.f_matmul(&value).in_stage("attention")?;
                inside.map = keep(wants_map, &map);
                context
            } else {
                self.fused(&query, &key, &value, mask, pass)?
            };
            context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")?
        };
        let output =
            dropout_and_add(self.output.forward(&context, pass)?, hidden, self.hidden_dropout, pass)?;
        Ok((self.norm.forward(&output)?, inside))
    }

    /// `(batch, length, width)` to `(batch, heads, length, head_size)`.
    fn split(&self, projected: &Tensor) -> Result<Tensor> {
        Ok(projected.f_unflatten(2, [self.heads, self.head_size])?.f_transpose(1, 2)?)
    }

    /// `softmax(Q Kᵀ / sqrt(head_size) + mask)`, after dropout, as transformers returns it.
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
        let dropout = pass.dropout(self.probability_dropout);
        Tensor::f_scaled_dot_product_attention(query, key, value, Some(mask), dropout, false, None, false)
            .in_stage("fused attention")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        [&self.query, &self.key, &self.value, &self.output]
            .into_iter()
            .flat_map(|linear| linear.parameters())
            .chain(self.norm.parameters())
    }
}

/// Splits concatenated queries, keys and values with one operation whose gradient is one concatenation; the
/// gradient of each slice would be a full tensor of zeros.
fn three_parts(joined: &Tensor) -> Result<[Tensor; 3]> {
    let parts = joined.f_chunk(3, -1).in_stage("attention")?;
    parts
        .try_into()
        .map_err(|_| Error::invalid("queries, keys and values that are not three parts of a whole"))
}

#[cfg(test)]
mod tests;
