//! Losses on logits as the builder takes them, with their weights.

use crate::adaptor::Gives;
use crate::loss::Loss;
use crate::plan::Combine;
use crate::role::Labels;
use crate::schedule::Weight;

/// What `.soft_targets` takes: a loss, perhaps with what else is said of it. That the loss is one on logits
/// says [`SoftTargets`](crate::loss::SoftTargets).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "not a loss",
    note = "write `impl Loss for {Self}` with `name`, `mismatches` and `term` (`brew_core::loss` has `Loss`, `Features` and `Term`), and derive `Debug`",
    note = "soft targets are `loss::KdCe::at(8.0)`, `loss::KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less"
)]
pub trait Targets {
    /// The loss itself.
    type Loss: Loss;
    /// What of the student is read beside what the loss reads: [`NothingElse`], or its [`StudentLabels`].
    type Also;
    /// The loss with what else was said of it.
    #[doc(hidden)]
    fn into_target(self) -> SoftTarget;
}

/// Says that a student `S` gives what is read beside what a loss reads.
pub trait GivenBy<S> {}

/// Nothing is.
#[derive(Debug)]
pub struct NothingElse;
/// The student's labels are, to put the teacher right.
#[derive(Debug)]
pub struct StudentLabels;

impl<S> GivenBy<S> for NothingElse {}
impl<S: Gives<Labels>> GivenBy<S> for StudentLabels {}

/// A loss on logits with what else was said of it.
#[derive(Debug)]
pub struct SoftTarget {
    pub(super) loss: Box<dyn Loss>,
    pub(super) weight: Weight,
    pub(super) probability_shift: bool,
    pub(super) combine: Combine,
}

impl<K: Loss> Targets for K {
    type Loss = K;
    type Also = NothingElse;
    fn into_target(self) -> SoftTarget {
        let (weight, combine) = (1.0.into(), Combine::default());
        SoftTarget { loss: Box::new(self), weight, probability_shift: false, combine }
    }
}

/// A loss with a weight other than 1.
#[derive(Debug, Clone)]
pub struct Weighted<K> {
    loss: K,
    weight: Weight,
}

impl<K: Targets> Targets for Weighted<K> {
    type Loss = K::Loss;
    type Also = K::Also;
    fn into_target(self) -> SoftTarget {
        let target = self.loss.into_target();
        SoftTarget { weight: self.weight.times(&target.weight), ..target }
    }
}

/// A loss that reads the teacher's logits with the highest score exchanged with that of the label.
#[derive(Debug, Clone)]
pub struct Shifted<K>(K);

impl<K: Targets> Targets for Shifted<K> {
    type Loss = K::Loss;
    type Also = StudentLabels;
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

impl<K: Targets> Targets for Combined<K> {
    type Loss = K::Loss;
    type Also = K::Also;
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
