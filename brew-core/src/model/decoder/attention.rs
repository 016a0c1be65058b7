//! Causal self-attention with shared heads of keys and values, in two forms that agree.
//!
//! When somebody reads the attention map, or scores are capped, it is computed step by step; otherwise
//! libtorch's fused operation does the same without ever holding the map in memory. Queries, keys and values
//! are kept where somebody reads them.

use tch::{Device, Kind, Tensor};

use super::config::DecoderConfig;
use super::linear::{Projection, Projections, asked};
use super::norm::Norm;
use super::rope::Rotation;
use super::visibility::Visibility;
use crate::error::{InStage, Result};
use crate::model::parts::dropout;
use crate::model::weights::Weights;
use crate::pass::Pass;
use crate::role;

/// What somebody reads of the inside of a layer's attention; undefined where nobody does.
#[derive(Debug)]
pub(crate) struct Inside {
    /// `(batch, heads, length, length)`.
    pub(crate) map: Tensor,
    /// `(batch, length, heads x head width)`, as the keys and the values of their heads.
    pub(crate) query: Tensor,
    pub(crate) key: Tensor,
    pub(crate) value: Tensor,
}

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

    /// The same attention: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Attention {
            projections: self.projections.shallow_clone(),
            head_norms: self.head_norms.as_ref().map(|norms| norms.each_ref().map(Norm::shallow_clone)),
            output: self.output.shallow_clone(),
            ..*self
        }
    }

    /// `(batch, length, width)` to the same shape, and what is wanted of the inside of this layer, of so many.
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
        let [query, key, value] = self.projections.forward(hidden)?;
        let mut inside = Inside {
            map: Tensor::new(),
            query: keep(wants.layer::<role::Query>(layer, layers), &query),
            key: keep(wants.layer::<role::Key>(layer, layers), &key),
            value: keep(wants.layer::<role::Value>(layer, layers), &value),
        };
        let (query, key) = if visibility.alone {
            // The share of the one token is 1 whatever they are. Fused kernels leave round-off in their
            // gradients, of which Adam would make a whole step.
            (query.f_detach()?, key.f_detach()?)
        } else {
            (query, key)
        };
        let [query_norm, key_norm] = match &self.head_norms {
            Some([query, key]) => [Some(query), Some(key)],
            None => [None, None],
        };
        let query = self.heads_of(&query, self.heads, query_norm, rotation)?;
        let key = self.heads_of(&key, self.key_value_heads, key_norm, rotation)?;
        let value = self.heads_of(&value, self.key_value_heads, None, None)?;

        let wants_map = wants.layer::<role::Attention>(layer, layers);
        let drops = pass.is_training() && self.dropout > 0.0;
        // libtorch has no fused kernel with dropout there, and draws its masks slowly.
        let slow_to_drop = drops && query.device() == Device::Cpu;
        let context = if wants_map || slow_to_drop || self.cap.is_some() {
            let map = self.map(&query, &self.for_all_heads(&key)?, visibility, pass)?;
            let context = map.f_matmul(&self.for_all_heads(&value)?).in_stage("attention")?;
            inside.map = keep(wants_map, &map);
            context
        } else {
            self.fused(&query, &key, &value, visibility, if drops { self.dropout } else { 0.0 })?
        };
        let context = context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")?;
        Ok((self.output.forward(&context)?, inside))
    }

    /// `(batch, length, heads x head_size)` to `(batch, heads, length, head_size)`, normed and turned.
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

    /// Keys or values once for each head of queries that they serve.
    fn for_all_heads(&self, of_key_values: &Tensor) -> Result<Tensor> {
        match self.heads / self.key_value_heads {
            1 => Ok(of_key_values.shallow_clone()),
            each => of_key_values.f_repeat_interleave_self_int(each, 1, None).in_stage("attention"),
        }
    }

    /// `softmax(cap(Q Kᵀ scale))` over what each query sees, after dropout as transformers returns it.
    fn map(&self, query: &Tensor, key: &Tensor, visibility: &Visibility, pass: &Pass) -> Result<Tensor> {
        let map = || -> Result<Tensor> {
            let mut scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(self.scale)?;
            if let Some(cap) = self.cap {
                scores = capped(&scores, cap)?;
            }
            let length = scores.size().last().copied().unwrap_or(0);
            let hidden = match visibility.of(self.window) {
                Some(seen) => seen.f_logical_not()?,
                None => Tensor::f_ones([length, length], (Kind::Bool, scores.device()))?.f_triu(1)?,
            };
            // No row is all hidden: each sees itself.
            let scores = scores.f_masked_fill(&hidden, f64::NEG_INFINITY)?;
            let kind = scores.kind();
            let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
            Ok(scores.f_softmax(-1, Some(wide))?.f_to_kind(kind)?)
        };
        dropout(map().in_stage("attention map")?, self.dropout, pass)
    }

    fn fused(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        visibility: &Visibility,
        dropout: f64,
    ) -> Result<Tensor> {
        let seen = visibility.of(self.window);
        let shared = self.heads != self.key_value_heads;
        // On other devices the kernels that take a mask take no shared heads.
        let repeats = shared && seen.is_some() && query.device() != Device::Cpu;
        let (key, value) = if repeats {
            (self.for_all_heads(key)?, self.for_all_heads(value)?)
        } else {
            (key.shallow_clone(), value.shallow_clone())
        };
        Tensor::f_scaled_dot_product_attention(
            query,
            &key,
            &value,
            seen,
            dropout,
            seen.is_none(),
            Some(self.scale),
            shared && !repeats,
        )
        .in_stage("fused attention")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let norms = self.head_norms.iter().flatten().flat_map(Norm::parameters);
        self.projections.parameters().chain(norms).chain(self.output.parameters())
    }
}

/// `cap tanh(x / cap)`: numbers held between `-cap` and `cap`.
pub(crate) fn capped(numbers: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(numbers.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?)
}
