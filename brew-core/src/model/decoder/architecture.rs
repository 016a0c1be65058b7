//! The architectures of the family, each a row of switches: what it computes, and what it calls its parts.
//!
//! One forward pass serves them all. A row says where they differ, and is meant to be read beside
//! transformers' `configuration_*.py` and `modeling_*.py` of that name (5.24.0).

use serde::{Deserialize, Serialize};

use super::names::{GEMMA, GPT2, LLAMA, Names};

/// Which architecture a model folder holds: the `model_type` of its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderArchitecture {
    /// Llama 1 to 3.2 (Touvron et al. 2023, Dubey et al. 2024), TinyLlama, SmolLM and SmolLM2.
    Llama,
    /// Mistral 7B (Jiang et al. 2023): Llama whose attention may see a window of the last tokens only.
    Mistral,
    /// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases of queries, keys and values.
    Qwen2,
    /// Qwen3 (Yang et al. 2025), the dense models: Llama with norms of each head's queries and keys.
    Qwen3,
    /// SmolLM3: Llama without rotation in every fourth layer.
    SmolLm3,
    /// GPT-2 (Radford et al. 2019): learned positions, layer norms, dropout.
    Gpt2,
    /// Gemma 2 (2024): norms behind attention and feed-forward block too, capped scores and logits, and a window
    /// in every second layer.
    Gemma2,
    /// Gemma 3 (2025), the text models: a window and a rotation of its own in all but every sixth layer.
    #[serde(rename = "gemma3_text")]
    Gemma3,
}

use DecoderArchitecture::{Gemma2, Gemma3, Gpt2, Llama, Mistral, Qwen2, Qwen3, SmolLm3};

/// How the place of a token comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Queries and keys are rotated by it.
    Rotary,
    /// It has an embedding, which is added to the token's.
    Learned,
}

/// The norm before attention, feed-forward block and head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// `x / rms(x)`, brought to the dtype of `x`, times `w`.
    Rms,
    /// `x / rms(x) (1 + w)`, then brought to the dtype of `x`.
    RmsFromOne,
    /// `(x - mean) / deviation w + b`.
    Layer,
}

/// Whether linear layers have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    Never,
    Always,
    /// Where the config's `attention_bias`, or `mlp_bias`, is true.
    Asked,
}

/// Which layers see a window of the last tokens only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    Never,
    /// All, where there is a `sliding_window`.
    All,
    /// With `use_sliding_window` those of `layer_types`, or else those from `max_window_layers` on.
    UpperLayers,
    /// With `use_sliding_window` those of `layer_types`, or else those without rotation.
    UnrotatedLayers,
    /// Those of `layer_types`, or else all but each so many-th.
    AllBut(usize),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) architecture: DecoderArchitecture,
    /// Its `model_type`.
    pub(crate) name: &'static str,
    /// transformers' class of it with a head.
    pub(crate) class: &'static str,
    pub(crate) positions: Positions,
    /// The base of the rotation where no config says.
    pub(crate) theta: f64,
    pub(crate) norm: NormKind,
    /// Norms of each head's queries and keys, before the rotation.
    pub(crate) head_norms: bool,
    /// `down(act(gate x) up x)` rather than `down(act(up x))`.
    pub(crate) gated: bool,
    /// Biases of queries, keys and values; of the layer behind attention; of the feed-forward block.
    pub(crate) biases: [Bias; 3],
    pub(crate) windows: Windows,
    /// Embeddings times the square root of their width.
    pub(crate) scaled_embeddings: bool,
    /// The embedding of `pad_token_id` gets no gradient.
    pub(crate) padding_row: bool,
    pub(crate) names: &'static Names,
    /// What its config calls a field of [`DecoderConfig`](super::DecoderConfig), where that is another name.
    renamed: &'static [(&'static str, &'static str)],
    /// The fields beside [`EVERYWHERE`] that its config has.
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

/// A Llama with nothing of its own: what the other rows begin with.
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
static TABLE: [Switches; 8] = [
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

impl DecoderArchitecture {
    /// Its row.
    pub(crate) fn switches(self) -> &'static Switches {
        TABLE.iter().find(|row| row.architecture == self).unwrap_or(&TABLE[0])
    }

    /// The architecture of a `model_type`.
    pub(crate) fn of(model_type: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == model_type).map(|row| row.architecture)
    }

    /// Every `model_type` that is read.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
    }
}

impl Switches {
    /// What its `config.json` calls a field; `None` for a field that its config does not have.
    pub(crate) fn key<'f>(&self, field: &'f str) -> Option<&'f str> {
        if let Some((_, key)) = self.renamed.iter().find(|(renamed, _)| *renamed == field) {
            return Some(key);
        }
        (EVERYWHERE.contains(&field) || self.own.contains(&field)).then_some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_one_row_under_its_own_name() {
        for row in &TABLE {
            assert_eq!(DecoderArchitecture::of(row.name), Some(row.architecture));
            assert_eq!(row.architecture.switches().name, row.name);
            assert_eq!(serde_json::to_value(row.architecture).unwrap(), row.name);
        }
    }
}
