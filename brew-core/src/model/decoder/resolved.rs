//! The settings of each layer, including those that a config leaves to defaults and rules.

use super::config::{DecoderConfig, LayerType};
use super::rope::Rope;
use super::switches::{Positions, Windows};
use crate::error::{Error, Result};

impl DecoderConfig {
    /// Number of heads of keys and values.
    pub fn key_value_heads(&self) -> i64 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> i64 {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Width between the linear layers of a feed-forward block.
    pub fn feed_forward_size(&self) -> i64 {
        self.intermediate_size.unwrap_or(self.hidden_size.saturating_mul(4))
    }

    /// The probability in a field of the config; `None` if its architecture has no such dropout.
    pub(crate) fn dropout(&self, field: &str, probability: f64) -> Option<f64> {
        (self.key(field).is_some() || probability > 0.0).then_some(probability)
    }

    /// How many of the last tokens a layer sees; `None` means all.
    pub fn window(&self, layer: usize) -> Option<i64> {
        self.sliding_window.filter(|_| self.layer_type(layer) == LayerType::SlidingAttention)
    }

    /// What a layer attends to, by `layer_types` or by the architecture's rule.
    pub fn layer_type(&self, layer: usize) -> LayerType {
        let windows = self.model_type.switches().windows;
        let listed = self.layer_types.as_ref().and_then(|types| types.get(layer));
        let has_window = match windows {
            Windows::Never => false,
            Windows::All => self.sliding_window.is_some(),
            Windows::UpperLayers | Windows::UnrotatedLayers if !self.use_sliding_window => false,
            _ if listed.is_some() => return listed.copied().unwrap_or(LayerType::FullAttention),
            Windows::UpperLayers => self.sliding_window.is_some() && layer >= self.max_window_layers,
            Windows::UnrotatedLayers => self.sliding_window.is_some() && !self.rotates(layer),
            Windows::AllBut(every) => {
                let every = if self.key("sliding_window_pattern").is_some() {
                    self.sliding_window_pattern
                } else {
                    every
                };
                !(layer + 1).is_multiple_of(every.max(1))
            }
        };
        if has_window { LayerType::SlidingAttention } else { LayerType::FullAttention }
    }

    /// The rotation of a layer's queries and keys; `None` if it has none.
    pub(crate) fn rope_of(&self, layer: usize) -> Option<&Rope> {
        if self.model_type.switches().positions == Positions::Learned || !self.rotates(layer) {
            return None;
        }
        match (&self.local_rope, self.layer_type(layer)) {
            (Some(local), LayerType::SlidingAttention) => Some(local),
            _ => Some(&self.rope),
        }
    }

    /// Whether a layer rotates according to `no_rope_layers`.
    fn rotates(&self, layer: usize) -> bool {
        if self.key("no_rope_layers").is_none() {
            return true;
        }
        match &self.no_rope_layers {
            Some(layers) => layers.get(layer).is_none_or(|rotates| *rotates != 0),
            None => !(layer + 1).is_multiple_of(self.no_rope_layer_interval.max(1)),
        }
    }

    /// What a layer multiplies scores by.
    pub(crate) fn score_scale(&self, layer: usize) -> f64 {
        if self.key("query_pre_attn_scalar").is_some() {
            return (self.query_pre_attn_scalar as f64).powf(-0.5);
        }
        let scale = if self.scale_attn_weights { (self.head_size() as f64).powf(-0.5) } else { 1.0 };
        if self.scale_attn_by_inverse_layer_idx { scale / (layer as f64 + 1.0) } else { scale }
    }

    /// The config of a model with these layers, in which each computes the same as before.
    ///
    /// # Errors
    /// If a layer would compute something else at its new index.
    pub(crate) fn of_layers(&self, kept: &[usize]) -> Result<Self> {
        let moved = kept.iter().enumerate().any(|(place, layer)| place != *layer);
        if self.scale_attn_by_inverse_layer_idx && moved {
            return Err(Error::invalid(
                "scale_attn_by_inverse_layer_idx is true: scores are divided by the layer's number, so a layer at another index would compute something else. Keep the first layers, with Keep::first",
            ));
        }
        let mut config = DecoderConfig { num_hidden_layers: kept.len(), ..self.clone() };
        if self.key("no_rope_layers").is_some() {
            config.no_rope_layers = Some(kept.iter().map(|layer| i64::from(self.rotates(*layer))).collect());
        }
        if self.key("layer_types").is_some() {
            config.layer_types = Some(kept.iter().map(|layer| self.layer_type(*layer)).collect());
        }
        Ok(config)
    }

    /// The name of a field in this config's file.
    pub(super) fn key<'f>(&self, field: &'f str) -> Option<&'f str> {
        self.model_type.switches().key(field)
    }
}

#[cfg(test)]
mod tests {
    use super::super::architecture::DecoderArchitecture;
    use super::*;

    fn types(config: &DecoderConfig) -> String {
        let layers = 0..config.num_hidden_layers;
        layers.map(|layer| if config.window(layer).is_some() { 's' } else { 'f' }).collect()
    }

    // transformers 5.24.0: XConfig(num_hidden_layers=7, …).layer_types; Mistral's mask is of all layers.
    #[test]
    fn layers_with_a_window_are_those_of_transformers() {
        let of = |architecture| DecoderConfig { num_hidden_layers: 7, ..DecoderConfig::base(architecture) };
        assert_eq!(types(&of(DecoderArchitecture::Gemma2)), "sfsfsfs");
        assert_eq!(types(&of(DecoderArchitecture::Gemma3)), "sssssfs");
        assert_eq!(types(&of(DecoderArchitecture::Mistral)), "sssssss");
        assert_eq!(types(&of(DecoderArchitecture::Llama)), "fffffff");
        let qwen = DecoderConfig { max_window_layers: 4, ..of(DecoderArchitecture::Qwen2) };
        assert_eq!(types(&qwen), "fffffff");
        assert_eq!(types(&DecoderConfig { use_sliding_window: true, ..qwen }), "ffffsss");
        let smol = DecoderConfig { sliding_window: Some(8), ..of(DecoderArchitecture::SmolLm3) };
        assert_eq!(types(&smol), "fffffff");
        assert_eq!(types(&DecoderConfig { use_sliding_window: true, ..smol }), "fffsfff");
    }

    #[test]
    fn kept_layers_stay_what_they_are() {
        let config = DecoderConfig::base(DecoderArchitecture::SmolLm3);
        let kept = config.of_layers(&[0, 3, 4, 7]).unwrap();
        let rotating: Vec<bool> = (0..4).map(|layer| kept.rope_of(layer).is_some()).collect();
        assert_eq!(rotating, [true, false, true, false]);
        let kept = DecoderConfig::base(DecoderArchitecture::Gemma3).of_layers(&[5, 0, 11]).unwrap();
        assert_eq!(types(&kept), "fsf");
        assert_eq!(kept.rope_of(1).unwrap().theta, 10_000.0);

        let config = DecoderConfig {
            scale_attn_by_inverse_layer_idx: true,
            ..DecoderConfig::base(DecoderArchitecture::Gpt2)
        };
        assert!(config.of_layers(&[0, 1, 2]).is_ok());
        assert!(config.of_layers(&[0, 2]).unwrap_err().to_string().contains("Keep::first"));
    }
}
