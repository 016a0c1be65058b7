//! How answers are generated.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::CausalLm;
use crate::words::numbered;

/// How answers are generated. The names are those of transformers' `GenerationConfig`; the defaults differ where noted.
///
/// Its `Display` lists every setting in use.
///
/// ```
/// use brew_core::generate::GenerationConfig;
///
/// let config = GenerationConfig { max_new_tokens: 64, do_sample: true, temperature: 0.7, ..GenerationConfig::default() };
/// assert!(config.to_string().starts_with("max_new_tokens 64, do_sample true, temperature 0.7, top_k 0, top_p 1"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationConfig {
    /// The maximum number of tokens of an answer, at least 1 (default 128; in transformers a text has 20 tokens).
    pub max_new_tokens: i64,
    /// Whether tokens are drawn; otherwise the token with the highest score is taken, the first of equal ones.
    pub do_sample: bool,
    /// Scores are divided by it when sampling, above 0 (default 1).
    pub temperature: f64,
    /// Only tokens whose score reaches the k-th largest are drawn; 0, the default, for all (in transformers 50).
    pub top_k: i64,
    /// Only the most likely tokens whose probabilities sum up to this are drawn, above 0 and up to 1, the default.
    pub top_p: f64,
    /// Only tokens at least this many times as likely as the most likely are drawn, 0, the default, to 1.
    pub min_p: f64,
    /// Scores of tokens that the text already has, prompt included, are divided by it, or multiplied if below 0; above 0
    /// (default 1).
    pub repetition_penalty: f64,
    /// The number of answers to each prompt, at least 1 (default 1).
    pub num_return_sequences: i64,
    /// Any of these tokens ends an answer, and is its last token; without any, all answers have `max_new_tokens`.
    pub eos_token_id: Vec<i64>,
    /// What follows an answer that ended before others of its batch; if `None`, the first of `eos_token_id`.
    pub pad_token_id: Option<i64>,
    /// The seed of draws (default 0).
    pub seed: i64,
    /// Whether the log-probabilities of the chosen tokens are returned (default false).
    pub output_log_probs: bool,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        GenerationConfig {
            max_new_tokens: 128,
            do_sample: false,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            num_return_sequences: 1,
            eos_token_id: Vec::new(),
            pad_token_id: None,
            seed: 0,
            output_log_probs: false,
        }
    }
}

impl GenerationConfig {
    /// The defaults, with the model's own tokens for the end of a text and for padding.
    pub fn of(model: &(impl CausalLm + ?Sized)) -> Self {
        GenerationConfig {
            eos_token_id: model.eos_token_ids(),
            pad_token_id: model.pad_token_id(),
            ..Self::default()
        }
    }

    /// The padding token: any token will do where nothing ends an answer early.
    pub(super) fn padding(&self) -> i64 {
        self.pad_token_id.filter(|pad| *pad >= 0).or(self.eos_token_id.first().copied()).unwrap_or(0)
    }

    /// Checks all settings, for a model with this many tokens.
    ///
    /// # Errors
    /// Every setting out of range.
    pub(crate) fn check(&self, tokens: i64) -> Result<()> {
        let mut problems = Vec::new();
        for (name, value) in
            [("max_new_tokens", self.max_new_tokens), ("num_return_sequences", self.num_return_sequences)]
        {
            if value < 1 {
                problems.push(format!("{name} is {value}; it must be at least 1"));
            }
        }
        if self.top_k < 0 {
            problems.push(format!("top_k is {}; it must be at least 1, or 0 for all tokens", self.top_k));
        }
        for (name, value) in
            [("temperature", self.temperature), ("repetition_penalty", self.repetition_penalty)]
        {
            if !(value.is_finite() && value > 0.0) {
                let mend = match (name, value, self.do_sample) {
                    ("temperature", 0.0, true) => ": to take the most likely token, set do_sample to false",
                    ("temperature", _, false) => "; it has no effect unless do_sample is true: leave it out",
                    _ => "",
                };
                problems.push(format!("{name} is {value}; it must be a number above 0{mend}"));
            }
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            problems.push(format!("top_p is {}; it must be above 0 and at most 1", self.top_p));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            problems.push(format!("min_p is {}; it must be from 0 to 1", self.min_p));
        }
        let ids = self.eos_token_id.iter().map(|id| ("eos_token_id", *id));
        let padding = self.pad_token_id.filter(|pad| *pad >= 0).map(|id| ("pad_token_id", id));
        for (name, id) in ids.chain(padding) {
            if !(0..tokens).contains(&id) {
                problems.push(format!("{name} is {id}; the model's tokens are 0 to {}", tokens - 1));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(numbered("generation", &problems))) }
    }
}

impl fmt::Display for GenerationConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "max_new_tokens {}, do_sample {}", self.max_new_tokens, self.do_sample)?;
        if self.do_sample {
            write!(
                formatter,
                ", temperature {}, top_k {}, top_p {}, min_p {}",
                self.temperature, self.top_k, self.top_p, self.min_p
            )?;
        }
        write!(formatter, ", repetition_penalty {}", self.repetition_penalty)?;
        write!(formatter, ", num_return_sequences {}", self.num_return_sequences)?;
        write!(formatter, ", eos_token_id {:?}, pad_token_id {}", self.eos_token_id, self.padding())?;
        if self.do_sample { write!(formatter, ", seed {}", self.seed) } else { Ok(()) }
    }
}
