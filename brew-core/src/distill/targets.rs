//! Losses on logits as the builder takes them, with their weights.

use super::Gives;
use crate::loss::{KdCe, KdMse, Loss};
use crate::role::Logits;
use crate::schedule::Weight;

/// A loss on the logits of teachers `T` and a student `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss on logits of these models",
    label = "not a loss on logits",
    note = "soft targets are `KdCe::at(8.0)`, `KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less"
)]
pub trait SoftTargets<T, S> {
    /// The loss and its weight.
    fn into_loss(self) -> (Box<dyn Loss>, Weight);
}

macro_rules! soft_targets {
    ($($loss:ty),*) => {
        $(impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for $loss {
            fn into_loss(self) -> (Box<dyn Loss>, Weight) {
                (Box::new(self), 1.0.into())
            }
        })*
    };
}

soft_targets!(KdCe, KdMse);

/// A loss with a weight other than 1.
#[derive(Debug, Clone)]
pub struct Weighted<K> {
    loss: K,
    weight: Weight,
}

impl<T, S, K: SoftTargets<T, S>> SoftTargets<T, S> for Weighted<K> {
    fn into_loss(self) -> (Box<dyn Loss>, Weight) {
        let (loss, own) = self.loss.into_loss();
        (loss, self.weight.times(own.value()))
    }
}

/// Weighs a loss.
pub trait WithWeight: Sized {
    /// The same loss with this factor in the sum, which may change over the run:
    /// `KdCe::at(8.0).weight(Weight::decaying(1.0))`.
    fn weight(self, weight: impl Into<Weight>) -> Weighted<Self> {
        Weighted { loss: self, weight: weight.into() }
    }
}

impl<K: Loss> WithWeight for K {}
