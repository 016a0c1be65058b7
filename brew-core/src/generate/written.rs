//! What was written.

use tch::Tensor;

/// The answers to a batch of prompts, prompt by prompt; several answers to one prompt follow each other.
#[derive(Debug)]
pub struct Generation {
    /// Prompts and answers, `(rows, prompt + answer)` int64 on the model's device; the prompts' padding is on the left,
    /// that of the answers on the right.
    pub input_ids: Tensor,
    /// 1 for a token, 0 for padding, of the same shape. It comes from lengths: a padding token that an answer contains is
    /// a token like any other.
    pub attention_mask: Tensor,
    /// The column at which all answers begin.
    pub prompt_length: i64,
    /// The tokens of each answer, with the one that ended it.
    pub answers: Vec<Vec<i64>>,
    /// Whether each answer ended by itself, and not because it reached the limit.
    pub ended: Vec<bool>,
    /// If asked for.
    pub log_probs: Option<LogProbs>,
}

/// Log-probabilities of the chosen tokens, `(rows, answer)` float32 each, 0 at padding. The two differ: an importance ratio
/// of sampled tokens needs that of the distribution they were drawn from.
#[derive(Debug)]
pub struct LogProbs {
    /// Of the model's own distribution: all tokens, temperature 1, no penalty.
    pub of_model: Tensor,
    /// Of the distribution that the tokens were drawn from: penalized, with its temperature, truncated. 0 if tokens were
    /// not drawn.
    pub of_sampler: Tensor,
}
