//! Augments texts, drawn again in each epoch: five steps over the tokens of a row; and masks them for a masked language model.
//!
//! TextBrewer's `data_utils` as steps of the loader. The result is a pure function of the seed, the epoch,
//! and the row, so a run can resume anywhere. The functions work on any list; [`Augmentation`] applies them
//! to the rows of a data set.

mod batch;
mod deleting;
mod draws;
mod long_disorder;
pub(crate) mod masked_lm;
mod masking;
mod n_gram_sampling;
mod row;
mod short_disorder;

pub use deleting::deleting;
pub use draws::Draws;
pub use long_disorder::{Span, long_disorder};
pub use masked_lm::MaskedLm;
pub use masking::masking;
pub use n_gram_sampling::n_gram_sampling;
pub use short_disorder::short_disorder;

use std::collections::BTreeSet;

use crate::text::tokenizer::Tokenizer;

/// The augmentation steps for each row, in order; see [`Loader::augmented`](crate::Loader::augmented).
///
/// Special tokens stay in place, and each run of tokens between them is augmented separately, so a question
/// never mixes with its text. Padded lists as long as `input_ids` (masks, types, token labels) are changed
/// alike, so a label stays with its token. Positions in the text, such as the start and end of an answer,
/// would become wrong: do not augment data that has them.
///
/// ```no_run
/// use brew_core::prelude::*;
/// use brew_data::augment::{Augmentation, Span};
/// use brew_data::prelude::*;
///
/// # fn main() -> Result<()> {
/// let tokenizer = Tokenizer::from_folder("models/encoder")?;
/// let augmentation = Augmentation::of(&tokenizer)
///     .masking(0.1)
///     .long_disorder(0.05, Span::Tokens(10))
///     .seed(7);
/// let train = Dataset::open("train.arrow")?.batches::<TextBatch>(32).shuffled(7).augmented(augmentation);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Augmentation {
    special: BTreeSet<i64>,
    mask: Option<i64>,
    steps: Vec<AugmentationStep>,
    seed: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum AugmentationStep {
    Masking(f64),
    Deleting(f64),
    NGramSampling(Vec<(usize, f64)>),
    ShortDisorder([f64; 5]),
    LongDisorder(f64, Span),
}

impl Augmentation {
    /// Creates an augmentation without steps, with the tokenizer's special tokens and mask. Its token for
    /// unknown words represents words, and is not special here.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let (special, mask) = tokenizer.special_tokens();
        Self::of_tokens(special, mask)
    }

    /// As [`of`](Self::of), with explicit tokens.
    pub fn of_tokens(special: impl IntoIterator<Item = i64>, mask: Option<i64>) -> Self {
        Augmentation { special: special.into_iter().collect(), mask, steps: Vec::new(), seed: 0 }
    }

    /// Replaces each token by the mask with this probability; TextBrewer's default is 0.1. To have a model restore
    /// the tokens, use [`MaskedLm`], which also makes the labels.
    #[must_use]
    pub fn masking(self, probability: f64) -> Self {
        self.step(AugmentationStep::Masking(probability))
    }

    /// Deletes each token with this probability, but never a whole run; TextBrewer's default is 0.1.
    #[must_use]
    pub fn deleting(self, probability: f64) -> Self {
        self.step(AugmentationStep::Deleting(probability))
    }

    /// Keeps only a random span of each run, with one of these lengths by probability; TextBrewer's defaults
    /// are 1 to 5 with 0.2 each. A shorter run is kept whole.
    #[must_use]
    pub fn n_gram_sampling(self, lengths: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.step(AugmentationStep::NGramSampling(lengths.into_iter().collect()))
    }

    /// Reorders two or three neighbours: at each place nothing (`abc`), or `bac`, `cba`, `cab`, or `bca`,
    /// with these probabilities; TextBrewer's defaults are 0.9, 0.1, and three times 0.
    #[must_use]
    pub fn short_disorder(self, probabilities: [f64; 5]) -> Self {
        self.step(AugmentationStep::ShortDisorder(probabilities))
    }

    /// Swaps the halves of a span with this probability at each place; TextBrewer's defaults are 0.1 and 20
    /// tokens.
    #[must_use]
    pub fn long_disorder(self, probability: f64, span: Span) -> Self {
        self.step(AugmentationStep::LongDisorder(probability, span))
    }

    /// Sets the seed (default: 0).
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Augmentation { seed, ..self }
    }

    fn step(mut self, step: AugmentationStep) -> Self {
        self.steps.push(step);
        self
    }

    /// The problems with the steps.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut probability = |step: &str, value: f64| {
            if !(0.0..=1.0).contains(&value) {
                problems.push(format!("{step}: a probability is {value}; it must be from 0 to 1"));
            }
        };
        for step in &self.steps {
            match step {
                AugmentationStep::Masking(value) => probability("masking", *value),
                AugmentationStep::Deleting(value) => probability("deleting", *value),
                AugmentationStep::LongDisorder(value, _) => probability("long_disorder", *value),
                AugmentationStep::NGramSampling(lengths) => {
                    lengths.iter().for_each(|(_, value)| probability("n_gram_sampling", *value));
                }
                AugmentationStep::ShortDisorder(values) => {
                    values.iter().for_each(|value| probability("short_disorder", *value));
                }
            }
        }
        for step in &self.steps {
            match step {
                AugmentationStep::Masking(_) if self.mask.is_none() => {
                    problems
                        .push("masking: the tokenizer has no mask token, `[MASK]` or `<mask>`".to_owned());
                }
                AugmentationStep::NGramSampling(lengths) => {
                    problems.extend(not_one("n_gram_sampling", lengths.iter().map(|(_, value)| *value)));
                    if lengths.iter().any(|(length, _)| *length == 0) {
                        problems.push("n_gram_sampling: a length is 0; it must be at least 1".to_owned());
                    }
                }
                AugmentationStep::ShortDisorder(values) => {
                    problems.extend(not_one("short_disorder", values.iter().copied()));
                }
                AugmentationStep::LongDisorder(_, Span::Share(share)) if !(0.0..=1.0).contains(share) => {
                    problems.push(format!("long_disorder: a share is {share}; it must be from 0 to 1"));
                }
                _ => {}
            }
        }
        problems
    }
}

/// The problem if probabilities do not sum to 1.
fn not_one(step: &str, probabilities: impl Iterator<Item = f64>) -> Option<String> {
    let sum: f64 = probabilities.sum();
    let off = (sum - 1.0).abs() > 1e-6;
    off.then(|| format!("{step}: the probabilities sum to {sum}; they must sum to 1"))
}
