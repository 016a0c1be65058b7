//! Masks and labels for masked language models: which tokens a model has to restore, drawn again for each epoch.
//!
//! Each token is chosen with one probability (Devlin et al., "BERT", 2019). Of the chosen ones a share is replaced by
//! the mask, a share by random tokens, and the others stay. The labels are the original tokens where they were
//! chosen, and -100 elsewhere. What becomes of a row depends only on the seed, the epoch, and the row.

mod batch;
mod row;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use brew_core::batch::Column;
use brew_core::role::IGNORED;
use brew_core::tch::Kind;
use brew_core::vocabulary::Fingerprint;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::text::tokenizer::Tokenizer;

pub(crate) use batch::{INPUT_IDS, LABELS, WORD_IDS};

/// The masks and labels of a masked language model; see [`Loader::masked_lm`](crate::Loader::masked_lm).
///
/// By default each token is chosen with a probability of 0.15. Of the chosen ones, 80 % become the mask, 10 % a
/// random token, and 10 % stay as they are. Special tokens and padding are never chosen, and random tokens are drawn
/// evenly from all tokens of the vocabulary that are not special.
///
/// transformers also draws special tokens. In a RoBERTa, a random padding token would shift the positions of all
/// tokens after it.
///
/// ```no_run
/// use brew_core::model::MaskedLmBatch;
/// use brew_core::prelude::*;
/// use brew_data::augment::MaskedLm;
/// use brew_data::prelude::*;
///
/// # fn main() -> Result<()> {
/// let tokenizer = Tokenizer::from_folder("models/encoder")?;
/// let texts = Dataset::open("texts.parquet")?;
/// let tokens = texts.tokenize(&tokenizer, &Tokenize::text("text", 128).word_ids(), "runs/cache")?;
/// let masked = MaskedLm::of(&tokenizer).whole_words().seed(7);
/// let train = tokens.batches::<MaskedLmBatch>(32).shuffled(7).bucketed().masked_lm(masked);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct MaskedLm {
    special: BTreeSet<i64>,
    mask: Option<i64>,
    /// The tokens that are drawn at random, ascending.
    drawn: Arc<[i64]>,
    /// What the tokens of the data are compared with.
    vocabulary: Option<Fingerprint>,
    probability: f64,
    /// The share of chosen tokens that become the mask, and the share that become random tokens.
    shares: (f64, f64),
    whole_words: bool,
    seed: u64,
}

impl MaskedLm {
    /// The special tokens, the mask, and the vocabulary of this tokenizer. Its token for unknown words stands
    /// for a word, and is not special here.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let (special, mask) = tokenizer.special_tokens();
        let vocabulary = Some(tokenizer.vocabulary().fingerprint());
        MaskedLm { vocabulary, ..Self::of_tokens(special, mask, tokenizer.token_ids()) }
    }

    /// As [`of`](Self::of), with explicit tokens: the special ones, the mask, and the whole vocabulary.
    pub fn of_tokens(
        special: impl IntoIterator<Item = i64>,
        mask: Option<i64>,
        vocabulary: impl IntoIterator<Item = i64>,
    ) -> Self {
        let special: BTreeSet<i64> = special.into_iter().collect();
        let drawn: BTreeSet<i64> = vocabulary.into_iter().filter(|token| !special.contains(token)).collect();
        MaskedLm {
            special,
            mask,
            drawn: drawn.into_iter().collect(),
            vocabulary: None,
            probability: 0.15,
            shares: (0.8, 0.1),
            whole_words: false,
            seed: 0,
        }
    }

    /// Sets the probability with which each token, or each word, is chosen (default: 0.15).
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        MaskedLm { probability, ..self }
    }

    /// Sets the share of the chosen tokens that become the mask (default: 0.8) and the share that become random
    /// tokens (default: 0.1). The others stay as they are, so both together are at most 1.
    #[must_use]
    pub fn replacing(self, by_mask: f64, by_random: f64) -> Self {
        MaskedLm { shares: (by_mask, by_random), ..self }
    }

    /// Chooses whole words: all tokens of a word, or none of them. What replaces each of them is drawn for each
    /// token.
    ///
    /// The data needs a column `word_ids`, as [`Tokenize::word_ids`](crate::Tokenize::word_ids) makes it.
    #[must_use]
    pub fn whole_words(self) -> Self {
        MaskedLm { whole_words: true, ..self }
    }

    /// Sets the seed (default: 0).
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        MaskedLm { seed, ..self }
    }

    /// Whether whole words are chosen, which needs the words of the tokens.
    pub(crate) fn needs_words(&self) -> bool {
        self.whole_words
    }

    /// The largest token that it may put into a row.
    pub(crate) fn largest(&self) -> Option<i64> {
        let mask = self.mask.filter(|_| self.shares.0 > 0.0);
        let drawn = self.drawn.last().copied().filter(|_| self.shares.1 > 0.0);
        mask.max(drawn)
    }

    /// Checks that batches with these columns of this table can be masked; reports all problems at once.
    pub(crate) fn check(&self, columns: &[Column], dataset: &Dataset) -> Result<()> {
        let mut problems = self.problems();
        let has = |name: &str, pad: Option<f64>| {
            columns.iter().any(|column| {
                column.name == name && column.kind == Kind::Int64 && (pad.is_none() || column.pad == pad)
            })
        };
        for name in ["input_ids", "attention_mask"] {
            if !has(name, None) {
                problems.push(format!("the batch needs a column `{name}` of int64"));
            }
        }
        if !has(LABELS, Some(IGNORED as f64)) {
            problems
                .push(format!("the batch needs a column `{LABELS}` of int64 with the pad value {IGNORED}"));
        }
        let stated = dataset.vocabulary(INPUT_IDS).ok().flatten();
        if let (Some(own), Some(stated)) = (&self.vocabulary, stated)
            && !own.is_like(&stated)
        {
            problems.push(format!(
                "the tokens of {} are of another vocabulary than its tokenizer: give it the tokenizer that made them",
                dataset.path().display()
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::Setting(format!("masked_lm: {}", problems.join("; "))))
        }
    }

    /// The problems with the settings.
    fn problems(&self) -> Vec<String> {
        let (by_mask, by_random) = self.shares;
        let named = [
            ("probability", self.probability),
            ("share of masks", by_mask),
            ("share of random tokens", by_random),
        ];
        let wrong = named.into_iter().filter(|(_, value)| !(0.0..=1.0).contains(value));
        let mut problems: Vec<String> =
            wrong.map(|(name, value)| format!("the {name} is {value}; it must be from 0 to 1")).collect();
        if problems.is_empty() && by_mask + by_random > 1.0 + 1e-9 {
            problems.push(format!(
                "the shares of masks and of random tokens are {by_mask} and {by_random}; together they must be at most 1"
            ));
        }
        if by_mask > 0.0 && self.mask.is_none() {
            problems.push("the tokenizer has no mask token, `[MASK]` or `<mask>`".to_owned());
        }
        if by_random > 0.0 && self.drawn.is_empty() {
            problems.push("there are no tokens to draw random ones from".to_owned());
        }
        problems
    }
}

/// Everything that it depends on, which a resuming run compares; the vocabulary is represented by a hash.
impl fmt::Debug for MaskedLm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hasher = blake3::Hasher::new();
        for token in &*self.drawn {
            hasher.update(&token.to_le_bytes());
        }
        formatter
            .debug_struct("MaskedLm")
            .field("probability", &self.probability)
            .field("shares", &self.shares)
            .field("whole_words", &self.whole_words)
            .field("seed", &self.seed)
            .field("special", &self.special)
            .field("mask", &self.mask)
            .field(
                "drawn",
                &format_args!("{} tokens, {}", self.drawn.len(), &hasher.finalize().to_hex()[..16]),
            )
            .finish()
    }
}
