//! Checks whether a config describes a model that brew can build.

use super::config::{DecoderConfig, LayerType};
use super::rope_file;

/// The largest size: products of two stay whole numbers.
const MOST: i64 = i32::MAX as i64;

impl DecoderConfig {
    /// Lists everything that makes the config invalid.
    pub(super) fn problems(&self) -> Vec<String> {
        let key = |field| self.key(field).unwrap_or(field);
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.key_value_heads()),
            ("head_dim", self.head_size()),
            ("intermediate_size", self.feed_forward_size()),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
            ("query_pre_attn_scalar", self.query_pre_attn_scalar),
        ];
        let dropouts = [
            ("attention_dropout", self.attention_dropout),
            ("residual_dropout", self.residual_dropout),
            ("embedding_dropout", self.embedding_dropout),
        ];
        let above_zero = [
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ];
        let mut problems = Vec::new();
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            problems.push(format!("{} is {}; it must be at least 0", key("norm_eps"), self.norm_eps));
        }
        for (field, size) in sizes.into_iter().filter(|(_, size)| !(1..=MOST).contains(size)) {
            problems.push(format!("{} is {size}; it must be from 1 to {MOST}", key(field)));
        }
        for (field, dropout) in dropouts.into_iter().filter(|(_, dropout)| !(0.0..1.0).contains(dropout)) {
            problems.push(format!("{} is {dropout}; it must be at least 0 and below 1", key(field)));
        }
        for (field, number) in above_zero {
            if let Some(number) = number.filter(|number| !(number.is_finite() && *number > 0.0)) {
                problems.push(format!("{field} is {number}; it must be above 0"));
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        if self.head_dim.is_none() && self.hidden_size % self.num_attention_heads != 0 {
            problems.push(not_a_multiple(
                (key("hidden_size"), self.hidden_size),
                (key("num_attention_heads"), self.num_attention_heads),
            ));
        }
        if self.num_attention_heads % self.key_value_heads() != 0 {
            problems.push(not_a_multiple(
                (key("num_attention_heads"), self.num_attention_heads),
                ("num_key_value_heads", self.key_value_heads()),
            ));
        }
        if self.layers().any(|layer| self.rope_of(layer).is_some()) {
            problems.extend(rope_file::problems(&self.rope));
            problems.extend(self.local_rope.iter().flat_map(rope_file::problems));
            if self.head_size() % 2 != 0 {
                problems.push(format!("a head is {} wide; it must be even to be rotated", self.head_size()));
            }
        }
        problems.extend(self.problems_of_layers());
        problems
    }

    /// Problems of lists with one entry per layer.
    fn problems_of_layers(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let layers = self.num_hidden_layers;
        if let Some(types) = self.layer_types.as_ref().filter(|types| types.len() != layers) {
            problems.push(format!("layer_types has {} entries for {layers} layers", types.len()));
        }
        if let Some(rotating) = self.no_rope_layers.as_ref().filter(|rotating| rotating.len() < layers) {
            problems.push(format!("no_rope_layers has {} entries for {layers} layers", rotating.len()));
        }
        let windowed = self.layers().find(|layer| self.layer_type(*layer) == LayerType::SlidingAttention);
        if let (Some(layer), None) = (windowed, self.sliding_window) {
            problems
                .push(format!("layer {layer} has a window (sliding_attention), but sliding_window is null"));
        }
        problems
    }
}

fn not_a_multiple((field, size): (&str, i64), (other, of): (&str, i64)) -> String {
    format!("{field} {size} is not a multiple of {other} {of}")
}
