//! A small language model, and rows of prompts and completions for it.

#![expect(clippy::expect_used, reason = "a test fails where a helper does")]

use brew_core::model::decoder::TokenIds;
use brew_core::model::{CausalLmBatch, DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::prelude::*;
use brew_core::rollout::TextRow;

/// A model of one layer, over 20 tokens and 32 positions.
///
/// # Panics
/// If it cannot be made.
pub fn small_lm(architecture: DecoderArchitecture, seed: u64, dropout: f64) -> DecoderForCausalLm {
    let config = DecoderConfig {
        vocab_size: 20,
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 4,
        num_key_value_heads: (architecture != DecoderArchitecture::Gpt2).then_some(2),
        head_dim: None,
        intermediate_size: Some(24),
        max_position_embeddings: 32,
        initializer_range: 0.4,
        pad_token_id: None,
        eos_token_id: Some(TokenIds::One(2)),
        attention_dropout: dropout,
        ..DecoderConfig::base(architecture)
    };
    DecoderForCausalLm::new(config, seed, Device::Cpu).expect("the model is made")
}

/// Sixteen rows of a prompt of 1 to 6 tokens and a completion of 1 to 5, which is to learn.
pub fn prompts_and_completions() -> Vec<TextRow> {
    let row = |row: i64| {
        let (prompt, completion) = (1 + row * 5 % 6, 1 + row * 3 % 5);
        let ids: Vec<i64> =
            (0..prompt + completion).map(|place| (row * 7 + place * place * 3 + 1) % 20).collect();
        let labels = ids.iter().zip(0..).map(|(id, place)| if place < prompt { -100 } else { *id });
        TextRow { labels: labels.collect(), ids }
    };
    (0..16).map(row).collect()
}

/// Batches of so many of these rows.
///
/// # Panics
/// If a row has not as many labels as tokens.
pub fn in_batches(rows: &[TextRow], size: usize) -> Vec<CausalLmBatch> {
    let batch = |rows: &[TextRow]| TextRow::batch(rows, Device::Cpu).expect("a batch");
    rows.chunks(size).map(batch).collect()
}
