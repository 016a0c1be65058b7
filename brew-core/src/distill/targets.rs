//! Losses on logits as the builder takes them, with their weights.

use super::Gives;
use crate::loss::{KdCe, KdMse, Loss};
use crate::role::Logits;

/// A loss on the logits of teachers `T` and a student `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss on logits of these models",
    label = "not a loss on logits",
    note = "soft targets are `KdCe::at(8.0)`, `KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less"
)]
pub trait SoftTargets<T, S> {
    /// The loss and its weight.
    fn into_loss(self) -> (Box<dyn Loss>, f64);
}

macro_rules! soft_targets {
    ($($loss:ty),*) => {
        $(impl<T: Gives<Logits>, S: Gives<Logits>> SoftTargets<T, S> for $loss {
            fn into_loss(self) -> (Box<dyn Loss>, f64) {
                (Box::new(self), 1.0)
            }
        })*
    };
}

soft_targets!(KdCe, KdMse);

/// A loss with a weight other than 1.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<K> {
    loss: K,
    weight: f64,
}

impl<T, S, K: SoftTargets<T, S>> SoftTargets<T, S> for Weighted<K> {
    fn into_loss(self) -> (Box<dyn Loss>, f64) {
        let (loss, weight) = self.loss.into_loss();
        (loss, weight * self.weight)
    }
}

/// Weighs a loss.
pub trait WithWeight: Sized {
    /// The same loss with this factor in the sum.
    fn weight(self, weight: f64) -> Weighted<Self> {
        Weighted { loss: self, weight }
    }
}

impl<K: Loss> WithWeight for K {}
