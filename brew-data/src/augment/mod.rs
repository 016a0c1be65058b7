//! Texts disturbed anew in each epoch: five steps over the tokens of a row.
//!
//! TextBrewer's `data_utils`, as steps of the loader. What a row becomes is a pure function of the seed,
//! the epoch and the row, so that a run can be gone on with anywhere. The functions themselves work on
//! any list; [`Augmentation`] applies them to the rows of a data set.

mod batch;
mod deleting;
mod draws;
mod long_disorder;
mod masking;
mod n_gram_sampling;
mod row;
mod short_disorder;

pub use deleting::deleting;
pub use draws::Draws;
pub use long_disorder::{Span, long_disorder};
pub use masking::masking;
pub use n_gram_sampling::n_gram_sampling;
pub use short_disorder::short_disorder;

use std::collections::BTreeSet;

use crate::text::tokenizer::Tokenizer;

/// Steps that each row goes through, in order; given to [`Loader::augmented`](crate::Loader::augmented).
///
/// Special tokens stay where they are, and each run of tokens between them is disturbed by itself: a
/// question never mixes with its text. Padded lists as long as `input_ids` (masks, types, labels of
/// tokens) are disturbed alike, so that a label stays with its token. Positions in the text, such as
/// the start and end of an answer, would be wrong afterwards: do not augment data that has them.
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
    /// No steps yet; special tokens and the mask are those of the tokenizer. Its token for unknown words
    /// stands for words, and is no special one here.
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let (special, mask) = tokenizer.special_tokens();
        Self::of_tokens(special, mask)
    }

    /// The same for tokens that are known otherwise.
    pub fn of_tokens(special: impl IntoIterator<Item = i64>, mask: Option<i64>) -> Self {
        Augmentation { special: special.into_iter().collect(), mask, steps: Vec::new(), seed: 0 }
    }

    /// Puts the mask in place of each token with this probability; TextBrewer's is 0.1.
    #[must_use]
    pub fn masking(self, probability: f64) -> Self {
        self.step(AugmentationStep::Masking(probability))
    }

    /// Leaves out each token with this probability, but never all of a run; TextBrewer's is 0.1.
    #[must_use]
    pub fn deleting(self, probability: f64) -> Self {
        self.step(AugmentationStep::Deleting(probability))
    }

    /// Keeps only a random span of each run, of one of these lengths with these probabilities;
    /// TextBrewer's are 1 to 5 with 0.2 each. A run that is shorter is kept whole.
    #[must_use]
    pub fn n_gram_sampling(self, lengths: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.step(AugmentationStep::NGramSampling(lengths.into_iter().collect()))
    }

    /// Changes the order of two or three neighbours: at each place nothing (`abc`), or `bac`, `cba`,
    /// `cab` or `bca`, with these probabilities; TextBrewer's are 0.9, 0.1 and three times 0.
    #[must_use]
    pub fn short_disorder(self, probabilities: [f64; 5]) -> Self {
        self.step(AugmentationStep::ShortDisorder(probabilities))
    }

    /// Swaps the halves of a span with this probability at each place; TextBrewer's are 0.1 and 20
    /// tokens.
    #[must_use]
    pub fn long_disorder(self, probability: f64, span: Span) -> Self {
        self.step(AugmentationStep::LongDisorder(probability, span))
    }

    /// Another seed than 0.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Augmentation { seed, ..self }
    }

    fn step(mut self, step: AugmentationStep) -> Self {
        self.steps.push(step);
        self
    }

    /// What keeps the steps from being taken, each in words.
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

/// Says so where probabilities do not sum to 1.
fn not_one(step: &str, probabilities: impl Iterator<Item = f64>) -> Option<String> {
    let sum: f64 = probabilities.sum();
    let off = (sum - 1.0).abs() > 1e-6;
    off.then(|| format!("{step}: the probabilities sum to {sum}; they must sum to 1"))
}
