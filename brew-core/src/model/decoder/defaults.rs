//! transformers' defaults of each architecture, those of its `configuration_*.py` (5.24.0).

use super::architecture::DecoderArchitecture;
use super::config::{DecoderConfig, TokenIds};
use super::rope::Rope;
use crate::model::activation::Activation;

impl DecoderConfig {
    /// transformers' defaults of an architecture. Give your own sizes around it:
    /// `DecoderConfig { hidden_size: 576, ..DecoderConfig::base(DecoderArchitecture::Llama) }`.
    pub fn base(model_type: DecoderArchitecture) -> Self {
        let rope = Rope::of_theta(model_type.switches().theta);
        let llama = DecoderConfig { model_type, rope, ..DecoderConfig::default() };
        let qwen = DecoderConfig {
            vocab_size: 151_936,
            intermediate_size: Some(22_016),
            num_key_value_heads: Some(32),
            max_position_embeddings: 32_768,
            sliding_window: Some(4096),
            bos_token_id: None,
            eos_token_id: None,
            ..llama.clone()
        };
        let gemma = DecoderConfig {
            hidden_size: 2304,
            intermediate_size: Some(9216),
            num_hidden_layers: 26,
            num_attention_heads: 8,
            num_key_value_heads: Some(4),
            head_dim: Some(256),
            hidden_act: Activation::GeluNew,
            sliding_window: Some(4096),
            tie_word_embeddings: true,
            pad_token_id: Some(0),
            bos_token_id: Some(2),
            eos_token_id: Some(TokenIds::One(1)),
            ..llama.clone()
        };
        match model_type {
            DecoderArchitecture::Llama => llama,
            DecoderArchitecture::Mistral => DecoderConfig {
                intermediate_size: Some(14_336),
                num_key_value_heads: Some(8),
                max_position_embeddings: 4096 * 32,
                sliding_window: Some(4096),
                ..llama
            },
            DecoderArchitecture::Qwen2 => qwen,
            DecoderArchitecture::Qwen3 => DecoderConfig { head_dim: Some(128), ..qwen },
            DecoderArchitecture::SmolLm3 => DecoderConfig {
                vocab_size: 128_256,
                hidden_size: 2048,
                num_hidden_layers: 36,
                num_attention_heads: 16,
                num_key_value_heads: Some(4),
                max_position_embeddings: 32_768,
                tie_word_embeddings: true,
                pad_token_id: Some(128_004),
                bos_token_id: Some(128_000),
                eos_token_id: Some(TokenIds::One(128_001)),
                ..llama
            },
            DecoderArchitecture::Gpt2 => DecoderConfig {
                vocab_size: 50_257,
                hidden_size: 768,
                num_hidden_layers: 12,
                num_attention_heads: 12,
                intermediate_size: None,
                hidden_act: Activation::GeluNew,
                max_position_embeddings: 1024,
                norm_eps: 1e-5,
                tie_word_embeddings: true,
                attention_dropout: 0.1,
                residual_dropout: 0.1,
                embedding_dropout: 0.1,
                bos_token_id: Some(50_256),
                eos_token_id: Some(TokenIds::One(50_256)),
                ..llama
            },
            DecoderArchitecture::Gemma2 => DecoderConfig {
                vocab_size: 256_000,
                max_position_embeddings: 8192,
                attn_logit_softcapping: Some(50.0),
                final_logit_softcapping: Some(30.0),
                ..gemma
            },
            DecoderArchitecture::Gemma3 => DecoderConfig {
                vocab_size: 262_208,
                max_position_embeddings: 131_072,
                local_rope: Some(Rope::of_theta(10_000.0)),
                ..gemma
            },
        }
    }
}
