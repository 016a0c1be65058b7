//! Causal self-attention with shared heads of keys and values, in two forms that agree.
//!
//! If the attention map is wanted, or scores are capped, attention is computed step by step; otherwise libtorch's
//! fused operation does the same without holding the map in memory. Queries, keys and values are kept if wanted.

mod cached;
mod forms;

use tch::{Device, Tensor};

use super::config::DecoderConfig;
use super::linear::{Projection, Projections, asked};
use super::norm::Norm;
use super::rope::Rotation;
use super::visibility::Visibility;
use crate::error::{InStage, Result};
use crate::model::layer_outputs::Inside;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

pub(crate) use forms::capped;

/// Self-attention with the linear layers around it.
#[derive(Debug)]
pub(crate) struct Attention {
    projections: Projections,
    /// Norms of each head's queries and keys.
    head_norms: Option<[Norm; 2]>,
    output: Projection,
    heads: i64,
    key_value_heads: i64,
    head_size: i64,
    scale: f64,
    cap: Option<f64>,
    window: Option<i64>,
    dropout: f64,
}

impl Attention {
    /// The attention of this layer, whose parameters' names begin with `name`.
    pub(crate) fn take(weights: &mut Weights, name: &str, layer: usize, config: &DecoderConfig) -> Self {
        let switches = config.model_type.switches();
        let (names, head_size) = (&switches.names.layer, config.head_size());
        let full = |part: &str| format!("{name}.{part}");
        let projections = Projections::take(weights, name, config);
        let head_norms = switches.head_norms.then(|| {
            [names.query_norm, names.key_norm].map(|part| Norm::take(weights, full(part), head_size, config))
        });
        let output = Projection::take(
            weights,
            full(names.attention_output),
            (config.num_attention_heads * head_size, config.hidden_size),
            asked(switches.biases[1], config.attention_bias),
            switches.names.inputs_first,
        );
        Attention {
            projections,
            head_norms,
            output,
            heads: config.num_attention_heads,
            key_value_heads: config.key_value_heads(),
            head_size,
            scale: config.score_scale(layer),
            cap: config.attn_logit_softcapping,
            window: config.window(layer),
            dropout: config.attention_dropout,
        }
    }

    /// A handle of the same parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Attention {
            projections: self.projections.shallow_clone(),
            head_norms: self.head_norms.as_ref().map(|norms| norms.each_ref().map(Norm::shallow_clone)),
            output: self.output.shallow_clone(),
            ..*self
        }
    }

    /// Maps `(batch, length, width)` to the same shape; also returns the wanted intermediate results. The numbers are
    /// this layer's index and the number of layers.
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        (visibility, rotation): (&Visibility, Option<&Rotation>),
        (layer, layers): (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        let wants = pass.wants();
        let keep = |wanted: bool, tensor: &Tensor| {
            if wanted { tensor.shallow_clone() } else { Tensor::new() }
        };
        let [query, key, value] = self.projections.forward(hidden, pass)?;
        let mut inside = Inside {
            map: Tensor::new(),
            query: keep(wants.layer::<role::Query>(layer, layers), &query),
            key: keep(wants.layer::<role::Key>(layer, layers), &key),
            value: keep(wants.layer::<role::Value>(layer, layers), &value),
        };
        let [query_norm, key_norm] = self.norms();
        let query = self.heads_of(&query, self.heads, query_norm, rotation)?;
        let key = self.heads_of(&key, self.key_value_heads, key_norm, rotation)?;
        let (query, key) = if visibility.alone {
            // A single token gets all the attention, whatever its query and key are. Fused kernels leave round-off in
            // their gradients, which Adam would turn into a full step of their weights and norms.
            (query.f_detach()?, key.f_detach()?)
        } else {
            (query, key)
        };
        let value = self.heads_of(&value, self.key_value_heads, None, None)?;

        let wants_map = wants.layer::<role::Attention>(layer, layers);
        let dropout = pass.dropout(self.dropout);
        // libtorch has no fused kernel with dropout there, and draws its masks slowly.
        let slow_to_drop = dropout != 0.0 && query.device() == Device::Cpu;
        let context = if wants_map || slow_to_drop || self.cap.is_some() {
            let map = self.map(&query, &self.for_all_heads(&key)?, visibility, pass)?;
            let context = map.f_matmul(&self.for_all_heads(&value)?).in_stage("attention")?;
            inside.map = keep(wants_map, &map);
            context
        } else {
            self.fused(&query, &key, &value, visibility, dropout)?
        };
        let context = context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")?;
        Ok((self.output.forward(&context, pass)?, inside))
    }

    /// The norms of queries and of keys.
    fn norms(&self) -> [Option<&Norm>; 2] {
        match &self.head_norms {
            Some([query, key]) => [Some(query), Some(key)],
            None => [None, None],
        }
    }

    /// `(batch, length, heads x head_size)` to `(batch, heads, length, head_size)`, normalised and rotated.
    fn heads_of(
        &self,
        projected: &Tensor,
        heads: i64,
        norm: Option<&Norm>,
        rotation: Option<&Rotation>,
    ) -> Result<Tensor> {
        let split = projected.f_unflatten(2, [heads, self.head_size]).in_stage("attention")?;
        let normed = norm.map(|norm| norm.forward(&split)).transpose()?.unwrap_or(split);
        let heads = normed.f_transpose(1, 2)?;
        rotation.map_or_else(|| Ok(heads.shallow_clone()), |rotation| rotation.turn(&heads))
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let norms = self.head_norms.iter().flatten().flat_map(Norm::parameters);
        self.projections.parameters().chain(norms).chain(self.output.parameters())
    }
}
