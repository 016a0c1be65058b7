//! The shift of causal language models, whose logits at a position predict the next token.

use tch::Tensor;

use super::super::catalogue::{Entry, OptionRow, boxed};
use super::super::{Average, Features};
use super::transform::{Transform, Transformed};
use crate::error::Result;
use crate::role::{ByteEnds, Labels, Role as _, TokenIds};

/// Pairs the logits of each position with the mask, label and token of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTokenShift;

/// A loss that pairs the logits, or hidden states, of position i with the mask, label and token of position i
/// + 1: the last position's logits and the first position's label are dropped.
///
/// No loss shifts on its own. Labels and masks that a data pipeline has already shifted need no shift.
/// Features are `(batch, length, …)` with a length of at least two. Counts are known only batch by batch, so
/// a window of accumulated batches averages the batches' means.
///
/// ```
/// use brew_core::loss::{Kl, Loss, Features, next_token};
/// use brew_core::tch::{Device, Kind, Tensor};
///
/// let mask = Tensor::from_slice(&[0_i64, 1, 1]).view([1, 3]);
/// let side = |seed| {
///     brew_core::tch::manual_seed(seed);
///     Features::one(Tensor::randn([1, 3, 5], (Kind::Float, Device::Cpu))).with_mask(mask.shallow_clone())
/// };
/// let term = next_token(Kl::at(1.0)).term(&side(0), &side(1))?;
/// assert_eq!(term.count.double_value(&[]), 2.0); // logits of positions 0 and 1, tokens 1 and 2
/// # Ok::<(), brew_core::Error>(())
/// ```
///
/// Wrapped around a metric it measures the next token: `.evaluate(dev, next_token(Accuracy))` measures a
/// causal language model whose labels are its input, as those of transformers' models are.
///
/// ```
/// use brew_core::loss::next_token;
/// use brew_core::prelude::*;
/// use brew_core::observe::Predictions;
///
/// // Tokens 5, 1, 2: of the logits at 5 and at 1, one predicts the next token.
/// let logits = Tensor::from_slice(&[1_i64, 0, 3]).one_hot(6).to_kind(Kind::Float).view([1, 3, 6]);
/// let labels = Tensor::from_slice(&[5_i64, 1, 2]).view([1, 3]);
/// let predictions = Predictions::new(vec![logits], vec![labels], None)?;
/// assert_eq!(next_token(Accuracy).value(&predictions)?, 0.5);
/// # Ok::<(), brew_core::Error>(())
/// ```
pub fn next_token<K>(loss: K) -> Transformed<NextTokenShift, K> {
    Transformed { transform: NextTokenShift, loss }
}

impl Transform for NextTokenShift {
    fn name(&self) -> &'static str {
        "next_token"
    }

    fn average(&self, average: Average) -> Average {
        match average {
            Average::Rows => Average::Rows,
            // The window counts unshifted masks and labels, including the first position's.
            _ => Average::Own,
        }
    }

    fn changes_some_logits(&self) -> bool {
        true
    }

    fn mismatch(&self, side: &str, read: &Features) -> Option<String> {
        let fits = |feature: &Tensor| feature.dim() >= 2 && feature.size()[1] >= 2;
        let sizes = read.shape();
        (sizes.len() != 3 || !read.tensors.iter().all(fits)).then(|| {
            format!(
                "the {side}'s features are {}: a shift to the next token takes (batch, length, …) with a length of two or more",
                crate::words::shape(&sizes)
            )
        })
    }

    fn apply(&self, read: &Features) -> Result<Features> {
        let mut read = read.changed(but_last)?;
        read.mask = read.mask.as_ref().map(but_first).transpose()?;
        for role in [Labels::NAME, TokenIds::NAME, ByteEnds::NAME] {
            if let Some(tensor) = read.also.get_mut(role) {
                *tensor = but_first(tensor)?;
            }
        }
        Ok(read)
    }
}

fn but_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_narrow(1, 0, (length(tensor) - 1).max(0))?)
}

fn but_first(tensor: &Tensor) -> Result<Tensor> {
    let length = length(tensor);
    Ok(tensor.f_narrow(1, length.min(1), (length - 1).max(0))?)
}

/// Of `(batch, length, …)`.
fn length(tensor: &Tensor) -> i64 {
    tensor.size().get(1).copied().unwrap_or(0)
}

/// Its row in the catalogue.
pub(in crate::loss) const ROWS: &[Entry] = &[Entry {
    name: "next_token",
    summary: "a loss whose logits go with the mask and label of the next position",
    source: "causal language models",
    roles: &["logits"],
    options: &[OptionRow::INNER],
    make: |options| boxed(next_token(options.loss("loss")?)),
    ..Entry::EMPTY
}];
