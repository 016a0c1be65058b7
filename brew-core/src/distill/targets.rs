//! The arguments of `.soft_targets`: losses on logits with their weights and other options.

use crate::adaptor::Gives;
use crate::loss::Loss;
use crate::plan::Combine;
use crate::role::Labels;
use crate::schedule::Weight;

/// The argument of `.soft_targets`: a loss, optionally with a weight and other options.
/// [`SoftTargets`](crate::loss::SoftTargets) marks the losses on logits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    label = "not a loss",
    note = "write `impl Loss for {Self}` with `name`, `mismatches` and `term` (`brew_core::loss` has `Loss`, `Features` and `Term`), and derive `Debug`",
    note = "soft targets are `loss::KdCe::at(8.0)`, `loss::KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less"
)]
pub trait Targets {
    /// The loss itself.
    type Loss: Loss;
    /// What is read from the student in addition to the loss's own inputs: [`NothingElse`] or
    /// [`StudentLabels`].
    type Also;
    /// The loss with its options.
    #[doc(hidden)]
    fn into_target(self) -> SoftTarget;
}

/// Marks that a student `S` provides the additional inputs.
pub trait GivenBy<S> {}

/// No additional inputs.
#[derive(Debug)]
pub struct NothingElse;
/// The student's labels, to correct the teacher.
#[derive(Debug)]
pub struct StudentLabels;

impl<S> GivenBy<S> for NothingElse {}
impl<S: Gives<Labels>> GivenBy<S> for StudentLabels {}

/// A loss on logits with its options.
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

/// A loss that reads the teacher's logits with the highest score swapped with the label's score.
#[derive(Debug, Clone)]
pub struct Shifted<K>(K);

impl<K: Targets> Targets for Shifted<K> {
    type Loss = K::Loss;
    type Also = StudentLabels;
    fn into_target(self) -> SoftTarget {
        SoftTarget { probability_shift: true, ..self.0.into_target() }
    }
}

/// A loss with its own policy for combining several teachers' logits.
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

/// Sets a loss's weight or changes what it learns from.
pub trait WithWeight: Sized {
    /// The same loss with this weight in the sum, which may change over the run:
    /// `KdCe::at(8.0).weight(Weight::decaying(1.0))`. Repeated calls multiply, schedules included.
    fn weight(self, weight: impl Into<Weight>) -> Weighted<Self> {
        Weighted { loss: self, weight: weight.into() }
    }

    /// The same loss with a teacher that is never wrong: if its highest score is not that of the student's
    /// label, the two are swapped (TextBrewer's `probability_shift`; Wen, Lai and Qian, "Preparing Lessons",
    /// 2019). A row with a negative label, such as -100, is unchanged.
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
