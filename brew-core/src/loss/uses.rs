//! Marker traits for where a loss may be used, checked by the compiler when a pipeline is built.

use super::Loss;
pub use crate::adaptor::Gives;
use crate::role::Role;

/// Marks a loss on the logits of teachers `T` and a student `S`, for `.soft_targets(…)`.
///
/// The bounds declare what else it reads: a loss that reads the student's labels is marked `impl<T:
/// Gives<Logits>, S: Gives<Logits> + Gives<Labels>> SoftTargets<T, S> for Mine {}`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss on logits of these models",
    label = "not a loss on logits",
    note = "soft targets are `loss::KdCe::at(8.0)`, `loss::KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less",
    note = "if `{Self}` is a loss of your own, write `impl<T: Gives<role::Logits>, S: Gives<role::Logits>> SoftTargets<T, S> for {Self} {{}}` (both names are in `brew_core::loss`)"
)]
pub trait SoftTargets<T, S>: Loss {
    /// What it reads instead of the logits, if it computes them itself.
    const READ: TargetsRead = TargetsRead::Logits;
}

/// Where a loss on logits gets them from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetsRead {
    /// The role `logits`.
    Logits,
    /// The last hidden states of both sides.
    LastHidden,
}

/// A loss that compares features of a role over this shape of layers.
///
/// Your own role accepts the losses that you declare for it:
///
/// ```
/// use brew_core::loss::{MatchLoss, OneLayer, Pkd};
/// use brew_core::prelude::*;
/// use brew_core::distill::{features, student_layer, teacher_layer};
/// use brew_core::role::Role;
///
/// /// `(batch, width)`.
/// struct SentenceEmbedding;
/// impl Role for SentenceEmbedding {
///     const NAME: &'static str = "sentence_embedding";
/// }
/// impl MatchLoss<SentenceEmbedding, OneLayer> for Pkd {}
///
/// let match_ = features::<SentenceEmbedding, _>(teacher_layer(0), student_layer(0)).by(Pkd);
/// assert_eq!(match_.name(), "pkd_t0_s0");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot compare `{R}` features over this choice of layers",
    label = "this loss does not take it",
    note = "one layer of hidden states, `hidden(teacher_layer(4), student_layer(2))`, takes `loss::HiddenMse`, `loss::Cos` and `loss::Pkd`",
    note = "two layers of hidden states, `hidden(teacher_layer([0, 4]), student_layer([0, 2]))`, take `loss::Fsp` and `loss::Nst`",
    note = "one layer of attention maps takes `loss::AttentionMse`, `loss::AttentionMseSum`, `loss::AttentionCe` and `loss::AttentionCeMean`",
    note = "if `{Self}` is a loss of your own, write `impl MatchLoss<{R}, {Shape}> for {Self} {{}}` (the names are in `brew_core::loss` and `brew_core::role`)"
)]
pub trait MatchLoss<R: Role, Shape>: Loss {}

/// The shape of a choice of one layer.
#[derive(Debug)]
pub struct OneLayer;
/// The shape of a choice of two layers.
#[derive(Debug)]
pub struct TwoLayers;
/// The shape of a choice of any number of layers.
#[derive(Debug)]
pub struct ManyLayers;
