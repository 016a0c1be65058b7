//! What a causal language model must offer so that [`generate`](crate::generate::generate) can let it write.

use tch::{Device, Tensor};

use crate::error::Result;

/// A language model that continues texts token by token and remembers what it has read.
///
/// A model that wraps one of brew's forwards all methods to it.
pub trait CausalLm {
    /// The number of tokens that it scores.
    fn vocab_size(&self) -> i64;

    /// The maximum number of tokens in a text, prompt included; `None` if there is no limit.
    fn max_positions(&self) -> Option<i64>;

    /// The tokens that end a text according to its config; empty if there are none.
    fn eos_token_ids(&self) -> Vec<i64>;

    /// The padding token according to its config.
    fn pad_token_id(&self) -> Option<i64>;

    /// Where its parameters are.
    fn device(&self) -> Device;

    /// Reads prompts, in evaluation mode and without gradients. Returns the scores of each answer's first token,
    /// `(prompts x answers, tokens)`, the answers to a prompt one after another, and what continues them.
    ///
    /// # Errors
    /// Shapes that differ, padding that is not on the left, a prompt too long, and, on a CPU, a token out of range.
    fn prefill(&self, prompts: &Prefill<'_>) -> Result<(Tensor, Box<dyn Continuation + '_>)>;
}

/// Prompts to read, and how much will be written after them.
#[derive(Debug, Clone, Copy)]
pub struct Prefill<'p> {
    /// Token numbers, `(prompts, length)` int64. Padding is on the left, so that all answers begin in one column.
    pub input_ids: &'p Tensor,
    /// 1 for a token, 0 for padding, of the same shape.
    pub attention_mask: &'p Tensor,
    /// The number of answers to each prompt, at least 1.
    pub answers: i64,
    /// The maximum number of [`step`](Continuation::step)s.
    pub steps: i64,
}

/// Texts that a model has read, with what it remembers of them.
pub trait Continuation {
    /// Appends one token to each text, `(texts,)` int64, and returns the scores of the next, `(texts, tokens)`.
    ///
    /// # Errors
    /// More steps than announced, another number of tokens, and, on a CPU, a token out of range.
    fn step(&mut self, ids: &Tensor) -> Result<Tensor>;
}
