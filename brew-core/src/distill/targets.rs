//! Losses on logits as the builder takes them, with their weights.

use super::Gives;
use crate::loss::logits::{Transform, Transformed};
use crate::loss::{
    AdaptiveKl, AlignedUld, BinaryKl, CandidatesKl, Chunked, ChunkedWithLabels, Dist, Divergence, Dkd, Gold,
    Jsd, KdCe, KdMse, Kl, Loss, MarginMse, Mft, MultiLabelKl, Nkd, RegressionMse, ReverseKl, SampledKl,
    SharedTokens, SkewKl, SkewReverseKl, Taid, TopK, TotalVariation, Uld, Wsld,
};
use crate::plan::Combine;
use crate::role::{ByteEnds, Hidden, Labels, Logits, OutputWeight, TokenIds};
use crate::schedule::Weight;

/// A loss on the logits of teachers `T` and a student `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss on logits of these models",
    label = "not a loss on logits",
    note = "soft targets are `KdCe::at(8.0)`, `KdMse::at(8.0)`, with `.weight(0.5)` where they weigh less",
    note = "if `{Self}` is a loss of your own, write `impl<T: Gives<role::Logits>, S: Gives<role::Logits>> SoftTargets<T, S> for {Self} {{ fn into_loss(self) -> SoftTarget {{ SoftTarget::of(self) }} }}` (all three names are in `brew_core::distill`)"
)]
pub trait SoftTargets<T, S> {
    /// The loss with what else was said of it.
    fn into_loss(self) -> SoftTarget;
}

/// A loss on logits with what else was said of it.
#[derive(Debug)]
pub struct SoftTarget {
    /// The loss.
    pub loss: Box<dyn Loss>,
    /// Its factor in the sum.
    pub weight: Weight,
    /// Whether the teacher's highest score is first exchanged with that of the label.
    pub probability_shift: bool,
    /// How several teachers' logits become one.
    pub combine: Combine,
    /// What it reads in the logits' place, if it makes them itself.
    pub reads: TargetsRead,
}

/// Where a loss on logits has them from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetsRead {
    /// The role `logits`.
    Logits,
    /// The last hidden states of both sides.
    LastHidden,
}

impl SoftTarget {
    /// A loss of weight 1 on the mean of the teachers' logits as they are.
    pub fn of(loss: impl Loss) -> Self {
        let (combine, reads) = (Combine::default(), TargetsRead::Logits);
        SoftTarget { loss: Box::new(loss), weight: 1.0.into(), probability_shift: false, combine, reads }
    }
}

/// Losses on the logits of both sides that read this of the student besides.
macro_rules! soft_targets {
    ($student:ident: $($loss:ty),+) => {$(
        impl<T: Gives<Logits>, S: Gives<Logits> + Gives<$student>> SoftTargets<T, S> for $loss {
            fn into_loss(self) -> SoftTarget {
                SoftTarget::of(self)
            }
        }
    )+};
}

soft_targets!(Logits: KdCe, KdMse, Kl, ReverseKl, Jsd, SkewKl, SkewReverseKl, TotalVariation, AdaptiveKl, Taid, Dist);
soft_targets!(Logits: MultiLabelKl, BinaryKl, RegressionMse, CandidatesKl, MarginMse, SampledKl, Uld);
soft_targets!(Labels: Dkd, Nkd, Wsld, Mft);

impl<T: Gives<Logits>, S: Gives<Logits>, D: Divergence> SoftTargets<T, S> for TopK<D> {
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

impl<T: Gives<Logits>, S: Gives<Logits>, D: Divergence> SoftTargets<T, S> for SharedTokens<D> {
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

impl<T, S> SoftTargets<T, S> for AlignedUld
where
    T: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
    S: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
{
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

impl<T, S> SoftTargets<T, S> for Gold
where
    T: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
    S: Gives<Logits> + Gives<TokenIds> + Gives<ByteEnds>,
{
    fn into_loss(self) -> SoftTarget {
        SoftTarget::of(self)
    }
}

impl<T, S, D: Divergence> SoftTargets<T, S> for Chunked<D>
where
    T: Gives<Hidden> + Gives<OutputWeight>,
    S: Gives<Hidden> + Gives<OutputWeight>,
{
    fn into_loss(self) -> SoftTarget {
        SoftTarget { reads: TargetsRead::LastHidden, ..SoftTarget::of(self) }
    }
}

impl<T, S, D: Divergence> SoftTargets<T, S> for ChunkedWithLabels<D>
where
    T: Gives<Hidden> + Gives<OutputWeight>,
    S: Gives<Hidden> + Gives<OutputWeight> + Gives<Labels>,
{
    fn into_loss(self) -> SoftTarget {
        SoftTarget { reads: TargetsRead::LastHidden, ..SoftTarget::of(self) }
    }
}

impl<T, S, X: Transform, K: SoftTargets<T, S>> SoftTargets<T, S> for Transformed<X, K> {
    fn into_loss(self) -> SoftTarget {
        let target = self.loss.into_loss();
        let loss = Transformed { transform: self.transform, loss: target.loss };
        SoftTarget { loss: Box::new(loss), ..target }
    }
}

/// A loss with a weight other than 1.
#[derive(Debug, Clone)]
pub struct Weighted<K> {
    loss: K,
    weight: Weight,
}

impl<T, S, K: SoftTargets<T, S>> SoftTargets<T, S> for Weighted<K> {
    fn into_loss(self) -> SoftTarget {
        let target = self.loss.into_loss();
        SoftTarget { weight: self.weight.times(&target.weight), ..target }
    }
}

/// A loss that reads the teacher's logits with the highest score exchanged with that of the label.
#[derive(Debug, Clone)]
pub struct Shifted<K>(K);

impl<T, S: Gives<Labels>, K: SoftTargets<T, S>> SoftTargets<T, S> for Shifted<K> {
    fn into_loss(self) -> SoftTarget {
        SoftTarget { probability_shift: true, ..self.0.into_loss() }
    }
}

/// A loss that reads several teachers' logits combined otherwise than by their mean.
#[derive(Debug, Clone)]
pub struct Combined<K> {
    loss: K,
    combine: Combine,
}

impl<T, S, K: SoftTargets<T, S>> SoftTargets<T, S> for Combined<K> {
    fn into_loss(self) -> SoftTarget {
        SoftTarget { combine: self.combine, ..self.loss.into_loss() }
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
