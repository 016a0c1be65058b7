//! Losses on logits as the builder takes them, with their weights.

use crate::adaptor::Gives;
use crate::loss::{Loss, SoftTargets, TargetsRead};
use crate::plan::Combine;
use crate::role::Labels;
use crate::schedule::Weight;

/// What `.soft_targets` takes: a [loss on logits](SoftTargets), perhaps with what else is said of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss on logits of these models",
    label = "not a loss on logits",
    note = "soft targets are `loss::KdCe::at(8.0)`, `loss::KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less"
)]
pub trait Targets<T, S> {
    /// The loss with what else was said of it.
    #[doc(hidden)]
    fn into_target(self) -> SoftTarget;
}

/// A loss on logits with what else was said of it.
#[derive(Debug)]
pub struct SoftTarget {
    /// The loss.
    pub(super) loss: Box<dyn Loss>,
    /// Its factor in the sum.
    pub(super) weight: Weight,
    /// Whether the teacher's highest score is first exchanged with that of the label.
    pub(super) probability_shift: bool,
    /// How several teachers' logits become one.
    pub(super) combine: Combine,
    /// What it reads in the logits' place, if it makes them itself.
    pub(super) reads: TargetsRead,
}

impl<T, S, K: Loss + SoftTargets<T, S>> Targets<T, S> for K {
    fn into_target(self) -> SoftTarget {
        SoftTarget {
            loss: Box::new(self),
            weight: 1.0.into(),
            probability_shift: false,
            combine: Combine::default(),
            reads: K::READ,
        }
    }
}

/// A loss with a weight other than 1.
#[derive(Debug, Clone)]
pub struct Weighted<K> {
    loss: K,
    weight: Weight,
}

impl<T, S, K: Targets<T, S>> Targets<T, S> for Weighted<K> {
    fn into_target(self) -> SoftTarget {
        let target = self.loss.into_target();
        SoftTarget { weight: self.weight.times(&target.weight), ..target }
    }
}

/// A loss that reads the teacher's logits with the highest score exchanged with that of the label.
#[derive(Debug, Clone)]
pub struct Shifted<K>(K);

impl<T, S: Gives<Labels>, K: Targets<T, S>> Targets<T, S> for Shifted<K> {
    fn into_target(self) -> SoftTarget {
        SoftTarget { probability_shift: true, ..self.0.into_target() }
    }
}

/// A loss that reads several teachers' logits combined otherwise than by their mean.
#[derive(Debug, Clone)]
pub struct Combined<K> {
    loss: K,
    combine: Combine,
}

impl<T, S, K: Targets<T, S>> Targets<T, S> for Combined<K> {
    fn into_target(self) -> SoftTarget {
        SoftTarget { combine: self.combine, ..self.loss.into_target() }
    }
}

/// Weighs a loss, or says what it learns from.
pub trait WithWeight: Sized {
    /// The same loss with this factor in the sum, which may change over the run:
    /// `KdCe::at(8.0).weight(Weight::decaying(1.0))`. Said again it multiplies, schedules too.
    fn weight(self, weight: impl Into<Weight>) -> Weighted<Self> {
        Weighted { loss: self, weight: weight.into() }
    }

    /// The same loss with a teacher that is never wrong: where its highest score is not that of the
    /// student's label, the two are exchanged (TextBrewer's `probability_shift`; Wen, Lai and Qian,
    /// "Preparing Lessons", 2019). A negative label, such as -100, leaves its row as it is.
    fn with_probability_shift(self) -> Shifted<Self> {
        Shifted(self)
    }

    /// The same loss with several teachers combined by this policy: [`Combine`] has the formulas.
    fn combining(self, combine: Combine) -> Combined<Self> {
        Combined { loss: self, combine }
    }
}

impl<K: Loss> WithWeight for K {}
impl<K> WithWeight for Weighted<K> {}
impl<K> WithWeight for Shifted<K> {}
impl<K> WithWeight for Combined<K> {}
