//! The names of each architecture's parameters in a checkpoint.

use crate::model::folder::Layout;

/// The names of an architecture's parameters, without `.weight` and `.bias`.
#[derive(Debug)]
pub(crate) struct Names {
    /// The prefix of all names except the head's, without the dot.
    pub(crate) prefix: &'static str,
    /// The parts at the top level of a checkpoint that holds only the decoder, without its prefix.
    pub(crate) roots: &'static [&'static str],
    /// The tensor by which the decoder is located, without the prefix.
    anchor: &'static str,
    pub(crate) tokens: &'static str,
    pub(crate) positions: &'static str,
    pub(crate) layers: &'static str,
    pub(crate) last_norm: &'static str,
    pub(crate) head: &'static str,
    /// The parts of a layer.
    pub(crate) layer: LayerNames,
    /// Suffixes of constants that old checkpoints store with the parameters.
    pub(crate) constants: &'static [&'static str],
    /// Whether linear layers are stored `(inputs, outputs)`.
    pub(crate) inputs_first: bool,
}

/// The parts of a layer, by the names that follow the layer's own.
#[derive(Debug)]
pub(crate) struct LayerNames {
    pub(crate) attention_norm: &'static str,
    pub(crate) projections: ProjectionNames,
    pub(crate) attention_output: &'static str,
    pub(crate) query_norm: &'static str,
    pub(crate) key_norm: &'static str,
    /// The norm after attention, if there is one.
    pub(crate) behind_attention: Option<&'static str>,
    pub(crate) feed_forward_norm: &'static str,
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    /// The norm after the feed-forward block, if there is one.
    pub(crate) behind_feed_forward: Option<&'static str>,
}

/// The linear layers that give queries, keys and values.
#[derive(Debug)]
pub(crate) enum ProjectionNames {
    Three {
        query: &'static str,
        key: &'static str,
        value: &'static str,
    },
    /// One layer for all three, side by side.
    Joined(&'static str),
}

impl Names {
    /// How its checkpoints are recognised.
    pub(crate) fn layout(&self) -> Layout<'static> {
        Layout { prefix: self.prefix, roots: self.roots, anchor: self.anchor }
    }
}

pub(crate) const LLAMA: Names = Names {
    prefix: "model",
    roots: &["embed_tokens", "layers", "norm"],
    anchor: "embed_tokens.weight",
    tokens: "model.embed_tokens",
    positions: "",
    layers: "model.layers.",
    last_norm: "model.norm",
    head: "lm_head",
    layer: LayerNames {
        attention_norm: "input_layernorm",
        projections: ProjectionNames::Three {
            query: "self_attn.q_proj",
            key: "self_attn.k_proj",
            value: "self_attn.v_proj",
        },
        attention_output: "self_attn.o_proj",
        query_norm: "self_attn.q_norm",
        key_norm: "self_attn.k_norm",
        behind_attention: None,
        feed_forward_norm: "post_attention_layernorm",
        gate: "mlp.gate_proj",
        up: "mlp.up_proj",
        down: "mlp.down_proj",
        behind_feed_forward: None,
    },
    constants: &[".rotary_emb.inv_freq"],
    inputs_first: false,
};

pub(crate) const GEMMA: Names = Names {
    layer: LayerNames {
        behind_attention: Some("post_attention_layernorm"),
        feed_forward_norm: "pre_feedforward_layernorm",
        behind_feed_forward: Some("post_feedforward_layernorm"),
        ..LLAMA.layer
    },
    ..LLAMA
};

pub(crate) const GPT2: Names = Names {
    prefix: "transformer",
    roots: &["wte", "wpe", "h", "ln_f"],
    anchor: "wte.weight",
    tokens: "transformer.wte",
    positions: "transformer.wpe",
    layers: "transformer.h.",
    last_norm: "transformer.ln_f",
    head: "lm_head",
    layer: LayerNames {
        attention_norm: "ln_1",
        projections: ProjectionNames::Joined("attn.c_attn"),
        attention_output: "attn.c_proj",
        query_norm: "",
        key_norm: "",
        behind_attention: None,
        feed_forward_norm: "ln_2",
        gate: "",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
        behind_feed_forward: None,
    },
    // The causal mask, and the score of masked positions.
    constants: &[".attn.bias", ".attn.masked_bias"],
    inputs_first: true,
};
