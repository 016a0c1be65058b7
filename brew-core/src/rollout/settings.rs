//! How a student answers the prompts of its training.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::generate::GenerationConfig;
use crate::model::CausalLm;
use crate::words::numbered;

/// How a student answers the prompts of its training. The sampler's settings have the names and meanings of
/// [`GenerationConfig`].
///
/// A plan prints every setting with its value. The student writes without dropout, and also learns without it unless
/// [`Trainer::student_dropout`](crate::train::Trainer::student_dropout) sets it; a model of your own must take its dropout from
/// the pass for that ([`Model::takes_dropout`](crate::model::Model::takes_dropout)). `temperature`, `top_k`, `top_p` and `min_p` decide which texts are visited
/// and change no loss: a divergence over the whole vocabulary is that of the two models at each visited position.
///
/// ```
/// use brew_core::rollout::Rollout;
///
/// let rollout = Rollout { max_new_tokens: 256, temperature: 0.9, ..Rollout::default() };
/// assert_eq!((rollout.share, rollout.top_p), (1.0, 1.0));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rollout {
    /// The share of prompts that the student answers, from 0 to 1, the default; GKD's lambda. Each row is drawn
    /// by itself; the others keep the answers of the data.
    pub share: f64,
    /// The number of answers to each of these prompts, at least 1 (default 1). Each is a row of its own, so a batch grows.
    pub num_return_sequences: i64,
    /// The maximum number of tokens of an answer, at least 1 (default 128).
    pub max_new_tokens: i64,
    /// Scores are divided by it before a token is drawn, above 0 (default 1).
    pub temperature: f64,
    /// Only tokens whose score reaches the k-th largest are drawn; 0, the default, for all.
    pub top_k: i64,
    /// Only the most likely tokens whose probabilities sum up to this are drawn, above 0 and up to 1, the default.
    pub top_p: f64,
    /// Only tokens at least this many times as likely as the most likely are drawn, 0, the default, to 1.
    pub min_p: f64,
    /// Any of these tokens ends an answer, and is its last token. Empty, the default: those of the student's config; if it
    /// has none either, all answers have `max_new_tokens`.
    pub eos_token_id: Vec<i64>,
    /// Whether an answer that reached `max_new_tokens` is learnt (the default), without a token for its end; otherwise
    /// none of its tokens is.
    pub learn_truncated: bool,
    /// The maximum number of answers written at the same time, at least 1 (default 64): more are faster, and take more
    /// memory for keys and values.
    pub answers_at_once: i64,
}

impl Default for Rollout {
    fn default() -> Self {
        Rollout {
            share: 1.0,
            num_return_sequences: 1,
            max_new_tokens: 128,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            eos_token_id: Vec::new(),
            learn_truncated: true,
            answers_at_once: 64,
        }
    }
}

impl Rollout {
    /// The same for this student: with its tokens for the end of a text, unless there are others.
    ///
    /// # Errors
    /// Every setting out of range.
    pub(crate) fn of_student(mut self, student: &dyn CausalLm) -> Result<Self> {
        self.eos_token_id = self.stops(student);
        let mut problems = Vec::new();
        if !(0.0..=1.0).contains(&self.share) {
            problems.push(format!("share is {}; it must be from 0 to 1", self.share));
        }
        if self.answers_at_once < 1 {
            problems.push(format!("answers_at_once is {}; it must be at least 1", self.answers_at_once));
        }
        if let Err(error) = self.generation(student, 0).check(student.vocab_size()) {
            problems.push(error.to_string());
        }
        if problems.is_empty() { Ok(self) } else { Err(Error::invalid(numbered("rollout", &problems))) }
    }

    /// How the sampler writes.
    pub(super) fn generation(&self, student: &dyn CausalLm, seed: i64) -> GenerationConfig {
        GenerationConfig {
            max_new_tokens: self.max_new_tokens,
            do_sample: true,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: 1.0,
            num_return_sequences: self.num_return_sequences,
            eos_token_id: self.stops(student),
            pad_token_id: student.pad_token_id(),
            seed,
            output_log_probs: false,
        }
    }

    /// The tokens that end an answer.
    fn stops(&self, student: &dyn CausalLm) -> Vec<i64> {
        if self.eos_token_id.is_empty() { student.eos_token_ids() } else { self.eos_token_id.clone() }
    }

    /// Every setting with its value, one per line.
    pub(crate) fn lines(&self) -> Vec<String> {
        // From the fields themselves, so that none is left out.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(settings)) => {
                settings.iter().map(|(name, value)| format!("{name} {value}")).collect()
            }
            _ => vec![format!("{self:?}")],
        }
    }
}
