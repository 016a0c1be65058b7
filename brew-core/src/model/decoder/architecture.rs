//! The decoder architectures that brew supports.

use serde::{Deserialize, Serialize};

use super::switches::{Switches, TABLE};

/// The architecture of a model folder: the `model_type` in its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderArchitecture {
    /// Llama 1 to 3.2 (Touvron et al. 2023, Dubey et al. 2024), TinyLlama, SmolLM and SmolLM2.
    Llama,
    /// Mistral 7B (Jiang et al. 2023): Llama whose attention can be limited to a window of the latest tokens.
    Mistral,
    /// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases for queries, keys and values.
    Qwen2,
    /// Qwen3 (Yang et al. 2025), the dense models: Llama with a norm over each head's queries and keys.
    Qwen3,
    /// SmolLM3: Llama with no rotary positions in every fourth layer.
    SmolLm3,
    /// GPT-2 (Radford et al. 2019): learned positions, layer norms, dropout.
    Gpt2,
    /// Gemma 2 (2024): additional norms after attention and after the feed-forward block, soft-capped scores and
    /// logits, and a window in every second layer.
    Gemma2,
    /// Gemma 3 (2025), the text models: all layers but every sixth have a window and their own rotation.
    #[serde(rename = "gemma3_text")]
    Gemma3,
}

impl DecoderArchitecture {
    /// Its row in the table.
    pub(crate) fn switches(self) -> &'static Switches {
        TABLE.iter().find(|row| row.architecture == self).unwrap_or(&TABLE[0])
    }

    /// The architecture of a `model_type`.
    pub(crate) fn of(model_type: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == model_type).map(|row| row.architecture)
    }

    /// Every supported `model_type`.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|row| row.name)
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
