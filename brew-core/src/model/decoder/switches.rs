//! What each architecture computes, and the names it gives its parts: a row of switches per architecture.
//!
//! One forward pass serves all of them. A row states how an architecture differs from Llama, and is meant to be read
//! beside transformers' `configuration_*.py` and `modeling_*.py` of the same name (5.24.0).

use super::architecture::DecoderArchitecture::{
    self, Gemma2, Gemma3, Gpt2, Llama, Mistral, Qwen2, Qwen3, SmolLm3,
};
use super::names::{GEMMA, GPT2, LLAMA, Names};

/// How positions are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Queries and keys are rotated.
    Rotary,
    /// Each position has an embedding, which is added to the token's.
    Learned,
}

/// The norm before attention, feed-forward block and head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// `x / rms(x)`, converted to the dtype of `x`, times `w`.
    Rms,
    /// `x / rms(x) (1 + w)`, then converted to the dtype of `x`.
    RmsFromOne,
    /// `(x - mean) / deviation w + b`.
    Layer,
}

/// Whether linear layers have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    Never,
    Always,
    /// If the config's `attention_bias`, or `mlp_bias`, is true.
    Asked,
}

/// Which layers see only a window of the latest tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    Never,
    /// All, if there is a `sliding_window`.
    All,
    /// With `use_sliding_window` those of `layer_types`, or else those from `max_window_layers` on.
    UpperLayers,
    /// With `use_sliding_window` those of `layer_types`, or else those without rotation.
    UnrotatedLayers,
    /// Those of `layer_types`, or else all except one in this many.
    AllBut(usize),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) architecture: DecoderArchitecture,
    /// Its `model_type`.
    pub(crate) name: &'static str,
    /// transformers' class with a language-model head.
    pub(crate) class: &'static str,
    pub(crate) positions: Positions,
    /// The default base of the rotation.
    pub(crate) theta: f64,
    pub(crate) norm: NormKind,
    /// Norms of each head's queries and keys, before the rotation.
    pub(crate) head_norms: bool,
    /// `down(act(gate x) up x)` rather than `down(act(up x))`.
    pub(crate) gated: bool,
    /// Biases of queries, keys and values; of attention's output; of the feed-forward block.
    pub(crate) biases: [Bias; 3],
    pub(crate) windows: Windows,
    /// Embeddings times the square root of their width.
    pub(crate) scaled_embeddings: bool,
    /// The embedding of `pad_token_id` gets no gradient.
    pub(crate) padding_row: bool,
    pub(crate) names: &'static Names,
    /// The config's names for fields of [`DecoderConfig`](super::DecoderConfig) that differ from the field's.
    renamed: &'static [(&'static str, &'static str)],
    /// The fields that its config has in addition to [`EVERYWHERE`].
    own: &'static [&'static str],
}

/// The fields that every config has.
const EVERYWHERE: [&str; 14] = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "max_position_embeddings",
    "norm_eps",
    "initializer_range",
    "tie_word_embeddings",
    "attention_dropout",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
];

const RMS: (&str, &str) = ("norm_eps", "rms_norm_eps");
const SWITCHED_WINDOW: [&str; 3] = ["use_sliding_window", "sliding_window", "layer_types"];

/// Llama's row, on which the others are based.
const PLAIN: Switches = Switches {
    architecture: Llama,
    name: "llama",
    class: "LlamaForCausalLM",
    positions: Positions::Rotary,
    theta: 10_000.0,
    norm: NormKind::Rms,
    head_norms: false,
    gated: true,
    biases: [Bias::Asked; 3],
    windows: Windows::Never,
    scaled_embeddings: false,
    padding_row: true,
    names: &LLAMA,
    renamed: &[RMS],
    own: &["num_key_value_heads", "head_dim", "attention_bias", "mlp_bias"],
};

/// The table.
#[rustfmt::skip]
pub(super) static TABLE: [Switches; 8] = [
    PLAIN,
    Switches {
        architecture: Mistral, name: "mistral", class: "MistralForCausalLM",
        biases: [Bias::Never; 3],
        windows: Windows::All,
        own: &["num_key_value_heads", "head_dim", "sliding_window"],
        ..PLAIN
    },
    Switches {
        architecture: Qwen2, name: "qwen2", class: "Qwen2ForCausalLM",
        biases: [Bias::Always, Bias::Never, Bias::Never],
        windows: Windows::UpperLayers,
        own: &["num_key_value_heads", "head_dim", "max_window_layers",
               SWITCHED_WINDOW[0], SWITCHED_WINDOW[1], SWITCHED_WINDOW[2]],
        ..PLAIN
    },
    Switches {
        architecture: Qwen3, name: "qwen3", class: "Qwen3ForCausalLM",
        head_norms: true,
        biases: [Bias::Asked, Bias::Asked, Bias::Never],
        windows: Windows::UpperLayers,
        own: &["num_key_value_heads", "head_dim", "attention_bias", "max_window_layers",
               SWITCHED_WINDOW[0], SWITCHED_WINDOW[1], SWITCHED_WINDOW[2]],
        ..PLAIN
    },
    Switches {
        architecture: SmolLm3, name: "smollm3", class: "SmolLM3ForCausalLM",
        theta: 2_000_000.0,
        windows: Windows::UnrotatedLayers,
        own: &["num_key_value_heads", "head_dim", "attention_bias", "mlp_bias", "no_rope_layers",
               "no_rope_layer_interval", SWITCHED_WINDOW[0], SWITCHED_WINDOW[1], SWITCHED_WINDOW[2]],
        ..PLAIN
    },
    Switches {
        architecture: Gpt2, name: "gpt2", class: "GPT2LMHeadModel",
        positions: Positions::Learned,
        norm: NormKind::Layer,
        gated: false,
        biases: [Bias::Always; 3],
        padding_row: false,
        names: &GPT2,
        renamed: &[("hidden_size", "n_embd"), ("num_hidden_layers", "n_layer"), ("num_attention_heads", "n_head"),
                   ("intermediate_size", "n_inner"), ("max_position_embeddings", "n_positions"),
                   ("hidden_act", "activation_function"), ("norm_eps", "layer_norm_epsilon"),
                   ("attention_dropout", "attn_pdrop"), ("residual_dropout", "resid_pdrop"),
                   ("embedding_dropout", "embd_pdrop")],
        own: &["residual_dropout", "embedding_dropout", "scale_attn_weights", "scale_attn_by_inverse_layer_idx"],
        ..PLAIN
    },
    Switches {
        architecture: Gemma2, name: "gemma2", class: "Gemma2ForCausalLM",
        norm: NormKind::RmsFromOne,
        biases: [Bias::Asked, Bias::Asked, Bias::Never],
        windows: Windows::AllBut(2),
        scaled_embeddings: true,
        names: &GEMMA,
        renamed: &[RMS, ("hidden_act", "hidden_activation")],
        own: &["num_key_value_heads", "head_dim", "attention_bias", "sliding_window", "layer_types",
               "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"],
        ..PLAIN
    },
    Switches {
        architecture: Gemma3, name: "gemma3_text", class: "Gemma3ForCausalLM",
        theta: 1_000_000.0,
        norm: NormKind::RmsFromOne,
        head_norms: true,
        biases: [Bias::Asked, Bias::Asked, Bias::Never],
        windows: Windows::AllBut(6),
        scaled_embeddings: true,
        names: &GEMMA,
        renamed: &[RMS, ("hidden_act", "hidden_activation")],
        // transformers' class has `attn_logit_softcapping` too, and does not apply it.
        own: &["num_key_value_heads", "head_dim", "attention_bias", "sliding_window", "layer_types",
               "sliding_window_pattern", "query_pre_attn_scalar", "final_logit_softcapping"],
        ..PLAIN
    },
];

impl Switches {
    /// The name of a field in its `config.json`; `None` if its config has no such field.
    pub(crate) fn key<'f>(&self, field: &'f str) -> Option<&'f str> {
        if let Some((_, key)) = self.renamed.iter().find(|(renamed, _)| *renamed == field) {
            return Some(key);
        }
        (EVERYWHERE.contains(&field) || self.own.contains(&field)).then_some(field)
    }
}
