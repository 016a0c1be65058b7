//! Vocabularies padded to a round number: cuts off the columns that are not tokens.

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::super::catalogue::{Entry, OptionRow, boxed, required};
use super::super::{Features, Loss};
use super::transform::{Transform, Transformed};
use crate::error::Result;
use crate::role::{OutputBias, OutputWeight, Role as _};

/// Keeps the first columns of both sides' logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RealTokens(i64);

/// A loss over the first `tokens` columns of both sides' logits: for models with the same tokenizer whose
/// output matrices are padded, possibly to different sizes.
///
/// The remaining columns are not tokens. They are removed before the softmax, on both sides, so that they
/// have no probability and get no gradient. Logits are `(…, tokens or more)`; `tokens` is the tokenizer's own
/// number, added tokens included. A loss that computes the logits itself, such as
/// [`Chunked`](crate::loss::Chunked), computes only those of tokens.
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features, within_vocabulary};
/// use brew_core::tch::Tensor;
///
/// let student = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5, 9.0]).view([1, 4]));
/// let teacher = Features::one(Tensor::from_slice(&[1.0, 2.0, 0.5]).view([1, 3]));
/// let loss = within_vocabulary(3, Kl::at(1.0));
/// assert_eq!(loss.term(&student, &teacher)?.mean()?.double_value(&[]), 0.0);
/// # Ok::<(), brew_core::Error>(())
/// ```
pub fn within_vocabulary<K: Loss>(tokens: i64, loss: K) -> Transformed<RealTokens, K> {
    Transformed { transform: RealTokens(tokens), loss }
}

impl Transform for RealTokens {
    fn name(&self) -> &'static str {
        "within_vocabulary"
    }

    fn options(&self) -> Map<String, Value> {
        Map::from_iter([("tokens".to_owned(), json!(self.0))])
    }

    fn problems(&self) -> Vec<String> {
        let message = || format!("tokens is {}; it must be 1 or more, the size of the vocabulary", self.0);
        (self.0 < 1).then(message).into_iter().collect()
    }

    fn changes_some_logits(&self) -> bool {
        false
    }

    fn mismatch(&self, side: &str, read: &Features) -> Option<String> {
        match read.tensors.as_slice() {
            _ if read.also.contains_key(OutputWeight::NAME) => {
                let weight = read.also.get(OutputWeight::NAME).map(Tensor::size).unwrap_or_default();
                weight.first().is_none_or(|tokens| *tokens < self.0).then(|| {
                    format!(
                        "the {side}'s output_weight is {}, and the vocabulary has {} tokens: it must have that many rows or more",
                        crate::words::shape(&weight),
                        self.0
                    )
                })
            }
            [logits] if logits.size().last().is_some_and(|columns| *columns >= self.0) => None,
            [logits] => Some(format!(
                "the {side}'s logits are {}, and the vocabulary has {} tokens: the last dimension must be that or more",
                crate::words::shape(&logits.size()),
                self.0
            )),
            _ => {
                Some(format!("the {side}'s logits are not all known: cutting a vocabulary needs all of them"))
            }
        }
    }

    fn apply(&self, read: &Features, _: bool) -> Result<Features> {
        if !read.also.contains_key(OutputWeight::NAME) {
            return read.changed(|logits| Ok(logits.f_narrow(-1, 0, self.0)?));
        }
        // A loss that computes the logits itself computes only those of tokens.
        let mut read = read.changed(|hidden| Ok(hidden.shallow_clone()))?;
        for role in [OutputWeight::NAME, OutputBias::NAME] {
            if let Some(tensor) = read.also.get_mut(role) {
                *tensor = tensor.f_narrow(0, 0, self.0)?;
            }
        }
        Ok(read)
    }
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "within_vocabulary",
    summary: "a loss on the first columns of the logits, without those that are no token",
    source: "padded vocabularies",
    roles: &["logits"],
    options: &[required("tokens", 32_000, "the size of the vocabulary"), OptionRow::INNER],
    make: |options| boxed(within_vocabulary(options.whole("tokens"), options.loss("loss")?)),
    ..Entry::EMPTY
}];
