//! Losses: one file a loss, each with its formula, shapes, source and golden value.
//!
//! A loss returns a [`Term`], a sum with what it is to be divided by, never the quotient: so a window
//! of several batches can divide by what the whole window counts. All of them are computed in
//! float32 or wider, whatever the precision of the models, and an all-zero mask gives 0.

mod attention;
mod attention_ce;
mod attention_mse;
mod cos;
mod fsp;
mod hard;
mod hidden_mse;
mod kd;
mod nst;
mod pkd;
mod states;
mod temperature;
mod term;

use std::fmt;

use tch::Tensor;

use crate::error::Result;

pub use attention_ce::{AttentionCe, AttentionCeMean};
pub use attention_mse::{AttentionMse, AttentionMseSum};
pub use cos::Cos;
pub use fsp::Fsp;
pub use hard::HardLabels;
pub use hidden_mse::HiddenMse;
pub use kd::{KdCe, KdMse};
pub use nst::Nst;
pub use pkd::Pkd;
pub use term::{Average, Term};

pub(crate) use kd::is_binary;
pub(crate) use term::{pair_count, shape, token_count};

/// A loss between features of a teacher and of the student.
///
/// The bounds that the compiler checks (which roles, how many layers) stand beside it, in
/// [`SoftTargets`](crate::distill::SoftTargets) and [`MatchLoss`](crate::distill::MatchLoss).
pub trait Loss: fmt::Debug + Send + 'static {
    /// The name in plans, metrics and configs.
    fn name(&self) -> &'static str;

    /// The options, as they stand in a plan on disk.
    fn options(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// What is wrong with the options themselves, each with its mend.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it does with the masks of the two sides.
    fn masks(&self) -> Masks {
        Masks::Same
    }

    /// What it averages over, where the student has a mask and where it has none.
    fn average(&self, masked: bool) -> Average {
        if masked { Average::Tokens } else { Average::Rows }
    }

    /// Whether a row's value depends on the other rows of its batch. Such a loss over accumulated
    /// batches is not the loss over their rows in one batch.
    fn reads_whole_batch(&self) -> bool {
        false
    }

    /// What is wrong with these features, each with its mend: their shapes, and values that cannot
    /// be what the loss was told they are. The loss itself has not been computed yet.
    fn mismatches(&self, student: &Read, teacher: &Read) -> Vec<String>;

    /// The loss, with gradients to the student's features only.
    fn term(&self, student: &Read, teacher: &Read) -> Result<Term>;
}

/// What a loss does with the masks of its two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masks {
    /// It compares the student's positions with the teacher's, one with one: both masks must be equal.
    Same,
    /// It compares sums over positions: each side has its own mask, and may have its own length.
    Own,
    /// It reads no mask.
    Ignored,
}

/// What a loss reads of one side.
#[derive(Debug)]
pub struct Read {
    /// The features, one a layer that the loss compares (for logits: one).
    pub features: Vec<Tensor>,
    /// Which positions count, `(batch, length)`, 0 or 1: `inputs_mask` for hidden states and
    /// attention, `logits_mask` for logits.
    pub mask: Option<Tensor>,
}

impl Read {
    /// One feature without a mask.
    pub fn one(feature: Tensor) -> Self {
        Read { features: vec![feature], mask: None }
    }

    /// Two layers, for losses that compare what lies between them.
    pub fn two(first: Tensor, second: Tensor) -> Self {
        Read { features: vec![first, second], mask: None }
    }

    /// The same with a mask.
    #[must_use]
    pub fn with_mask(self, mask: Tensor) -> Self {
        Read { mask: Some(mask), ..self }
    }

    /// The first feature, in float32 or wider.
    pub(crate) fn first(&self) -> Result<Tensor> {
        match self.features.first() {
            Some(feature) => term::wide(feature),
            None => Err(crate::Error::invalid("a loss was given no feature to read")),
        }
    }

    /// Both features, in float32 or wider.
    pub(crate) fn both(&self) -> Result<(Tensor, Tensor)> {
        match self.features.as_slice() {
            [first, second] => Ok((term::wide(first)?, term::wide(second)?)),
            other => Err(crate::Error::invalid(format!(
                "a loss over two layers was given {}: choose two, such as `student_layer([0, 2])`",
                other.len()
            ))),
        }
    }

    /// The sizes of the first feature; empty without one.
    pub(crate) fn shape(&self) -> Vec<i64> {
        self.features.first().map(Tensor::size).unwrap_or_default()
    }
}
