//! The loop: read the prompts, then choose a token per text and append it, until all answers have ended.

use super::config::GenerationConfig;
use super::prompts::Prompts;
use super::writing::Writing;
use super::written::Generation;
use crate::error::{Error, Result};
use crate::model::{CausalLm, Prefill};

/// The tokens chosen in one step.
#[derive(Debug)]
pub struct Chosen<'s> {
    /// The position of the tokens in their answers, from 0.
    pub position: usize,
    /// The rows whose answers are still being written.
    pub rows: &'s [usize],
    /// The token of each of these rows.
    pub ids: &'s [i64],
}

/// Continues each prompt, in evaluation mode and without gradients.
///
/// ```
/// use brew_core::generate::{GenerationConfig, Prompts, generate};
/// use brew_core::model::{DecoderArchitecture, DecoderConfig, DecoderForCausalLm};
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// # let sizes = DecoderConfig {
/// #     vocab_size: 50, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: Some(24),
/// #     ..DecoderConfig::base(DecoderArchitecture::Llama)
/// # };
/// let model = DecoderForCausalLm::new(sizes, 7, Device::Cpu)?;
/// let config = GenerationConfig { max_new_tokens: 5, do_sample: true, top_p: 0.9, ..GenerationConfig::of(&model) };
/// let generation = generate(&model, &Prompts::of_ids([vec![3, 1, 4], vec![1, 5]]), &config)?;
/// assert!(generation.answers[0].len() <= 5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Before the first step: settings out of range, an empty prompt, a token that the model does not have, a prompt and answer
/// with more tokens than the model has positions. Later: scores that are not finite, by row and position.
pub fn generate(
    model: &(impl CausalLm + ?Sized),
    prompts: &Prompts,
    config: &GenerationConfig,
) -> Result<Generation> {
    generate_streaming(model, prompts, config, |_| Ok(()))
}

/// As [`generate`], and calls `told` after each step. An error that it returns ends the generation.
///
/// # Errors
/// As [`generate`], and those of `told`.
pub fn generate_streaming(
    model: &(impl CausalLm + ?Sized),
    prompts: &Prompts,
    config: &GenerationConfig,
    mut told: impl FnMut(&Chosen<'_>) -> Result<()>,
) -> Result<Generation> {
    config.check(model.vocab_size())?;
    prompts.check(model.vocab_size())?;
    check_positions(model.max_positions(), prompts.longest() as i64, config.max_new_tokens)?;
    let _guard = tch::no_grad_guard();
    let (input_ids, attention_mask) = prompts.padded(config.padding(), model.device())?;
    let (answers, steps) = (config.num_return_sequences, config.max_new_tokens - 1);
    let prefill = Prefill { input_ids: &input_ids, attention_mask: &attention_mask, answers, steps };
    let (mut logits, mut texts) = model.prefill(&prefill)?;
    let mut writing = Writing::of(prompts, config);
    writing.note_prompts(&input_ids, &attention_mask, &logits)?;
    for position in 0..usize::try_from(config.max_new_tokens).unwrap_or(0) {
        let ids = writing.choose(&logits, position, &mut told)?;
        if writing.is_done() || position as i64 == steps {
            break;
        }
        logits = texts.step(&ids)?;
    }
    writing.finish((&input_ids, &attention_mask), model.device())
}

fn check_positions(positions: Option<i64>, prompt: i64, new: i64) -> Result<()> {
    let Some(positions) = positions.filter(|positions| prompt.saturating_add(new) > *positions) else {
        return Ok(());
    };
    let mend = match positions - prompt {
        room if room > 0 => format!("lower max_new_tokens to at most {room}, or shorten the prompt"),
        _ => "shorten the prompt".to_owned(),
    };
    Err(Error::invalid(format!(
        "the longest prompt has {prompt} tokens, and {new} may follow (max_new_tokens), but the model has {positions} positions: {mend}"
    )))
}
