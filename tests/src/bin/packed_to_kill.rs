//! A short run of a language model on packed rows, several steps per epoch, with everything that changes in it: dropout, a
//! projection, moments, accumulation. The tests of resuming kill this program and start it again.
//!
//! `packed_to_kill FOLDER STEPS`; a checkpoint after every optimizer step.

#![expect(clippy::unwrap_used, reason = "a test's program fails where a helper does")]

use std::path::Path;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{Chunked, HiddenMse, Kl, next_token};
use brew_core::model::{CausalLmBatch, DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_data::{Dataset, TooLong};
use tests::Tells;

/// Tokens per packed row.
const CAPACITY: usize = 24;

fn model(layers: usize, width: i64, seed: u64) -> DecoderForCausalLm {
    let config = DecoderConfig {
        vocab_size: 40,
        hidden_size: width,
        num_hidden_layers: layers,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        head_dim: None,
        intermediate_size: Some(24),
        max_position_embeddings: CAPACITY as i64,
        initializer_range: 0.3,
        pad_token_id: None,
        attention_dropout: 0.1,
        ..DecoderConfig::base(DecoderArchitecture::Llama)
    };
    DecoderForCausalLm::new(config, seed, Device::Cpu).unwrap()
}

/// Texts of 1 to 11 tokens, packed; a label for every token.
fn packed(folder: &Path) -> Dataset {
    let text = |row: usize| -> Vec<usize> {
        let length = 1 + (row * row + 3 * row) % 11;
        (0..length).map(|place| (row * 7 + row * row / 5 + place * place * 3) % 40).collect()
    };
    let rows: String =
        (0..120).map(|row| format!("{{\"input_ids\": {0:?}, \"labels\": {0:?}}}\n", text(row))).collect();
    let file = folder.join("texts.jsonl");
    brew_core::disk::write(&file, rows.as_bytes()).unwrap();
    Dataset::open(&file).unwrap().pack(CAPACITY, TooLong::Refuse, folder.join("tokens")).unwrap()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, steps) = (Path::new(&arguments[1]), arguments[2].parse().unwrap());
    let pipeline = Distill::new(model(4, 16, 5).seen(), model(2, 8, 6).seen())
        .soft_targets(next_token(Chunked::of(Kl::at(1.0)).rows(7).with_labels(0.5)))
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(8, 16)))
        .plan()?;
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-3))
        .schedule(Decay::cosine().with_warmup(0.1))
        .clip(1.0)
        .accumulate(2)
        .steps(steps)
        .checkpoint_every_steps(1)
        .keep_checkpoints(3)
        .log_every(1)
        .observe(Tells)
        .run_dir(folder)
        .run(packed(folder).batches::<CausalLmBatch>(4).shuffled(3))?;
    Ok(())
}
