//! The shift of causal language models, whose logits at a position predict the next token.

use tch::{Kind, Tensor};

use super::super::Features;
use super::super::catalogue::{Entry, OptionRow, boxed};
use super::transform::{Transform, Transformed};
use crate::error::Result;
use crate::role::{ByteEnds, IGNORED, Labels, Role as _, TokenIds};
use crate::words::shape;

/// Pairs the logits of each position with the mask, label and token of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTokenShift;

/// A loss that pairs the logits, or hidden states, of position i with the mask, label and token of position
/// i + 1: the last position's logits and the first position's label are dropped, on both sides.
///
/// Position i counts if it is a token and the next one is a target: a token of the same document whose mask is not 0
/// and, for losses that read labels, whose label counts. Which positions are tokens, and of which document, is what
/// the adaptor's `inputs_mask` says. So the logits of padding reach no loss, wherever the padding is, and the first
/// token of a document is no target even if it has a label. A window of accumulated batches divides by the number of
/// targets of the whole window. An adaptor without `inputs_mask` leaves it to the mask alone, which cannot say that
/// position i is padding.
///
/// No loss shifts on its own. Labels and masks that a data pipeline has already shifted need no shift.
/// Features are `(batch, length, …)` with a length of at least two.
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

    fn pairs_next_token(&self) -> bool {
        true
    }

    fn changes_some_logits(&self) -> bool {
        true
    }

    fn mismatch(&self, side: &str, read: &Features) -> Option<String> {
        let fits = |feature: &Tensor| feature.dim() >= 2 && feature.size()[1] >= 2;
        let sizes = read.shape();
        if sizes.len() != 3 || !read.tensors.iter().all(fits) {
            return Some(format!(
                "the {side}'s features are {}: a shift to the next token takes (batch, length, …) with a length of two or more",
                shape(&sizes)
            ));
        }
        let documents = read.documents.as_ref().map(Tensor::size).filter(|found| *found != sizes[..2]);
        documents.map(|found| {
            format!(
                "the {side}'s inputs_mask is {}; it must be (batch, length), here {}",
                shape(&found),
                shape(&sizes[..2])
            )
        })
    }

    fn apply(&self, read: &Features, _: bool) -> Result<Features> {
        let mut moved = read.changed(but_last)?;
        for role in [TokenIds::NAME, ByteEnds::NAME] {
            if let Some(tensor) = moved.also.get_mut(role) {
                *tensor = but_first(tensor)?;
            }
        }
        let targets = Targets::of(read.mask.as_ref(), read.documents.as_ref())?;
        moved.documents = read.documents.as_ref().map(but_first).transpose()?;
        moved.mask = targets.mask(read.mask.as_ref().or(read.documents.as_ref()))?;
        if let Some(labels) = moved.also.get_mut(Labels::NAME) {
            *labels = targets.labels(labels)?;
        }
        Ok(moved)
    }
}

/// Which positions follow a token of their document, all but the first: `(batch, length - 1)`; `None` if nothing is
/// known of them.
pub(crate) struct Targets(Option<Tensor>);

impl Targets {
    /// Of a mask, which says what counts, and the documents of the tokens. Without documents, only the border
    /// between two numbers of the mask is known.
    pub(crate) fn of(mask: Option<&Tensor>, documents: Option<&Tensor>) -> Result<Self> {
        let Some(numbers) = documents.or(mask) else { return Ok(Targets(None)) };
        let (before, next) = (but_last(numbers)?, but_first(numbers)?);
        let same = before.f_eq_tensor(&next)?;
        Ok(Targets(Some(match documents {
            Some(_) => same.f_logical_and(&before.f_ne(0)?)?,
            None => same.f_logical_or(&before.f_eq(0)?)?.f_logical_or(&next.f_eq(0)?)?,
        })))
    }

    /// The mask of the next positions, 0 for those that are no target.
    pub(crate) fn mask(&self, mask: Option<&Tensor>) -> Result<Option<Tensor>> {
        mask.map(|mask| self.filled(but_first(mask)?, 0)).transpose()
    }

    /// The labels of the next positions, -100 for those that are no target.
    pub(crate) fn labels(&self, labels: &Tensor) -> Result<Tensor> {
        let next = but_first(labels)?;
        // In 8 bits without a sign there is no -100.
        let next = if next.kind() == Kind::Uint8 { next.f_to_kind(Kind::Int64)? } else { next };
        self.filled(next, IGNORED)
    }

    fn filled(&self, next: Tensor, value: i64) -> Result<Tensor> {
        match &self.0 {
            Some(targets) if targets.size() == next.size() => {
                Ok(next.f_masked_fill(&targets.f_logical_not()?, value)?)
            }
            _ => Ok(next),
        }
    }
}

/// The mask of the logits that a loss of the next token counts, `(batch, length)`: 0 at the end, and where the next
/// position is no target.
pub(super) fn mask_ahead(mask: Option<&Tensor>, documents: Option<&Tensor>) -> Result<Option<Tensor>> {
    let next = Targets::of(mask, documents)?.mask(mask.or(documents))?;
    next.map(|next| followed_by(&next, 0)).transpose()
}

/// The labels by which the logits of each position are judged, `(batch, length)`: those of the next position, and
/// -100 at the end and where that is no target.
pub(crate) fn labels_ahead(labels: &Tensor, documents: Option<&Tensor>) -> Result<Tensor> {
    followed_by(&Targets::of(None, documents)?.labels(labels)?, IGNORED)
}

/// The same with a last position of this value.
fn followed_by(next: &Tensor, value: i64) -> Result<Tensor> {
    let rows = next.size().first().copied().unwrap_or(0);
    Ok(Tensor::f_cat(&[next, &Tensor::f_full([rows, 1], value, (next.kind(), next.device()))?], 1)?)
}

fn but_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_narrow(1, 0, (length(tensor) - 1).max(0))?)
}

/// All positions but the first, of `(batch, length, …)`.
pub(crate) fn but_first(tensor: &Tensor) -> Result<Tensor> {
    let length = length(tensor);
    Ok(tensor.f_narrow(1, length.min(1), (length - 1).max(0))?)
}

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
