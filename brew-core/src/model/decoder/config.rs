//! A decoder's sizes, switches and dropout.
//!
//! Each field has one name, whatever a folder calls it; `config_file.rs` translates.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::architecture::DecoderArchitecture;
use super::rope::Rope;
use crate::model::activation::Activation;

/// The config of a decoder. A key missing from the file has transformers' default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderConfig {
    /// Llama, Mistral, Qwen2, Qwen3, SmolLM3, GPT-2, Gemma 2 or Gemma 3.
    pub model_type: DecoderArchitecture,
    /// Number of tokens that have an embedding.
    pub vocab_size: i64,
    /// Width of the hidden states.
    pub hidden_size: i64,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads of a layer.
    pub num_attention_heads: i64,
    /// Number of heads of keys and values, each shared by the same number of query heads; `None` means
    /// `num_attention_heads`.
    pub num_key_value_heads: Option<i64>,
    /// Width of one head; `None` means `hidden_size / num_attention_heads`.
    pub head_dim: Option<i64>,
    /// Width between the linear layers of a feed-forward block; `None` means `4 hidden_size`.
    pub intermediate_size: Option<i64>,
    /// The activation between them.
    pub hidden_act: Activation,
    /// The maximum number of tokens in a sequence.
    pub max_position_embeddings: i64,
    /// The rotation of queries and keys; not used by GPT-2.
    pub rope: Rope,
    /// Gemma 3's rotation in layers with a window; `None` for other architectures.
    pub local_rope: Option<Rope>,
    /// One entry per layer of SmolLM3: 1 if the layer rotates, 0 if it does not. `None` means that all layers rotate
    /// except every `no_rope_layer_interval`-th.
    pub no_rope_layers: Option<Vec<i64>>,
    /// See `no_rope_layers`.
    pub no_rope_layer_interval: usize,
    /// The number of latest tokens that a layer with a window sees, including the token itself.
    pub sliding_window: Option<i64>,
    /// Whether any layer has a window, for Qwen2, Qwen3 and SmolLM3.
    pub use_sliding_window: bool,
    /// Which layers have a window; `None` means by the architecture's rule.
    pub layer_types: Option<Vec<LayerType>>,
    /// The rule of Qwen2 and Qwen3: layers from this one on have a window.
    pub max_window_layers: usize,
    /// The rule of Gemma 3: one layer in this many has no window.
    pub sliding_window_pattern: usize,
    /// What norms add to the variance.
    pub norm_eps: f64,
    /// Whether the linear layers of attention have biases, in architectures that have this key.
    pub attention_bias: bool,
    /// Whether the linear layers of feed-forward blocks have biases, in architectures that have this key.
    pub mlp_bias: bool,
    /// Whether the head uses the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Probability of dropout of attention probabilities.
    pub attention_dropout: f64,
    /// GPT-2's probability of dropout before each residual sum.
    pub residual_dropout: f64,
    /// GPT-2's probability of dropout of embeddings.
    pub embedding_dropout: f64,
    /// Whether GPT-2 divides scores by the square root of the heads' width.
    pub scale_attn_weights: bool,
    /// Whether GPT-2 divides scores by the layer's number, counted from 1.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Gemma divides scores by the square root of this.
    pub query_pre_attn_scalar: i64,
    /// Gemma 2's soft cap c on scores s: `c tanh(s / c)`.
    pub attn_logit_softcapping: Option<f64>,
    /// Gemma's soft cap on logits.
    pub final_logit_softcapping: Option<f64>,
    /// The standard deviation of the weights of a new model.
    pub initializer_range: f64,
    /// The padding token, whose embedding gets no gradient except from a tied head.
    pub pad_token_id: Option<i64>,
    /// The token that begins a text.
    pub bos_token_id: Option<i64>,
    /// The token that ends a text, or several.
    pub eos_token_id: Option<TokenIds>,
    /// Every key of the `config.json` that this was read from, known or not. Keys without a field are written back
    /// when the model is saved.
    #[serde(skip)]
    pub file: Map<String, Value>,
}

/// What a layer attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// All earlier tokens.
    FullAttention,
    /// Only a window of the latest tokens.
    SlidingAttention,
}

/// One token, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One.
    One(i64),
    /// Several.
    Several(Vec<i64>),
}

impl TokenIds {
    /// All of them.
    pub fn ids(&self) -> &[i64] {
        match self {
            TokenIds::One(id) => std::slice::from_ref(id),
            TokenIds::Several(ids) => ids,
        }
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        DecoderConfig {
            model_type: DecoderArchitecture::Llama,
            vocab_size: 32_000,
            hidden_size: 4096,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            intermediate_size: Some(11_008),
            hidden_act: Activation::Silu,
            max_position_embeddings: 2048,
            rope: Rope::of_theta(DecoderArchitecture::Llama.switches().theta),
            local_rope: None,
            no_rope_layers: None,
            no_rope_layer_interval: 4,
            sliding_window: None,
            use_sliding_window: false,
            layer_types: None,
            max_window_layers: 28,
            sliding_window_pattern: 6,
            norm_eps: 1e-6,
            attention_bias: false,
            mlp_bias: false,
            tie_word_embeddings: false,
            attention_dropout: 0.0,
            residual_dropout: 0.0,
            embedding_dropout: 0.0,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            query_pre_attn_scalar: 256,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            initializer_range: 0.02,
            pad_token_id: None,
            bos_token_id: Some(1),
            eos_token_id: Some(TokenIds::One(2)),
            file: Map::new(),
        }
    }
}
