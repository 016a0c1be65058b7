//! Every loss with the closed-form inputs of the golden values.

use brew_core::loss::{
    AdaptiveKl, AlignedUld, AtMse, AtNorm, AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum,
    BinaryKl, Chunked, Cka, Cos, Cwd, Dist, Dkd, EmdAttention, EmdHidden, Features, Fsp, Gold, Hcl,
    HiddenMse, Ickd, Jsd, KdCe, KdMse, Kl, Learns, Loss, Mft, MiniLmAttention, MiniLmRelation, MultiLabelKl,
    Nkd, Nst, NstPoly, PearsonKd, Pkd, Pkt, Place, RegressionMse, ReverseKl, RkdAngle, RkdDistance,
    SampledKl, SharedTokens, SkewKl, SkewReverseKl, Sp, Taid, TopK, TopKSemantics, TotalVariation, Uld, Vid,
    Wsld, next_token, standardised, within_vocabulary,
};
use brew_core::role::{ByteEnds, Labels, OutputWeight, Role as _, TokenIds};
use brew_core::tch::{Device, Kind, Tensor};
use tests::{alone, seq};

/// The student's features and the teacher's.
pub(crate) type Sides = (Vec<Tensor>, Vec<Tensor>);

/// A loss and what it is to compare, in float64; the masks of `tests::mask` fit it.
pub(crate) struct Case {
    /// For messages.
    pub(crate) name: String,
    pub(crate) loss: Box<dyn Loss>,
    pub(crate) student: Vec<Tensor>,
    pub(crate) teacher: Vec<Tensor>,
    /// `(batch, length)`, for losses that read them.
    pub(crate) labels: Option<Tensor>,
    /// What each side reads beside features and labels, by role; `(batch, length)` where it is of positions.
    pub(crate) also: [Vec<(&'static str, Tensor)>; 2],
    /// The dimensions that are lengths.
    pub(crate) lengths: &'static [i64],
}

/// What a side reads.
pub(crate) fn read(features: &[Tensor], mask: Option<&Tensor>) -> Features {
    let mut read = Features::of(features.iter().map(Tensor::shallow_clone).collect());
    read.mask = mask.map(Tensor::shallow_clone);
    read
}

/// The value of a loss.
pub(crate) fn value(loss: &dyn Loss, student: &Features, teacher: &Features) -> f64 {
    loss.term(student, teacher).unwrap().mean().unwrap().double_value(&[])
}

/// Prepares what a loss learns, in float64. Nothing else may draw from libtorch's generator meanwhile.
pub(crate) fn prepare(learns: &mut dyn Learns, seed: i64) {
    let _alone = alone();
    learns.prepare(&Place { kind: Kind::Double, device: Device::Cpu, seed }).unwrap();
}

#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9, "{what}: found {found}, expected {expected}");
}

impl Case {
    fn new(mut loss: impl Loss, (student, teacher): Sides) -> Self {
        let name = format!("{} {}", loss.name(), loss.options());
        let lengths: &[i64] = if loss.name().contains("attention") { &[2, 3] } else { &[1] };
        if let Some(learns) = loss.learns() {
            prepare(learns, 7);
            // What a loss learns starts so small that finite differences would see little of it.
            brew_core::tch::no_grad(|| {
                for (_, parameter) in learns.parameters().iter() {
                    parameter.shallow_clone().copy_(&seq(&parameter.size(), 0.7, 0.2, 0.5));
                }
            });
        }
        Case { name, loss: Box::new(loss), student, teacher, labels: None, also: Default::default(), lengths }
    }

    /// A loss on logits that reads their labels.
    fn labelled(loss: impl Loss) -> Self {
        Case { labels: Some(labels()), ..Case::new(loss, logits()) }
    }

    /// A loss on logits that also reads, for each side, the token of a position and its end in the text.
    fn of_texts(loss: impl Loss) -> Self {
        let text = |ids: [i64; 6], ends: [i64; 6]| {
            let rows = |numbers: [i64; 6]| Tensor::from_slice(&numbers).view([2, 3]);
            vec![(TokenIds::NAME, rows(ids)), (ByteEnds::NAME, rows(ends))]
        };
        let student = text([3, 1, 4, 0, 2, 1], [1, 4, 5, 2, 3, 8]);
        let teacher = text([2, 0, 4, 3, 1, 0], [4, 5, 7, 1, 3, 8]);
        Case { also: [student, teacher], ..Case::new(loss, logits()) }
    }

    /// A loss on hidden states and output matrices of seven tokens.
    fn with_matrices(loss: impl Loss) -> Self {
        let matrix = |phase| vec![(OutputWeight::NAME, seq(&[7, 4], 0.53, phase, 1.5))];
        Case { also: [matrix(0.1), matrix(0.7)], ..Case::new(loss, hidden()) }
    }

    /// What the student's side reads of these features.
    pub(crate) fn student_read(&self, features: &[Tensor], mask: Option<&Tensor>) -> Features {
        let read = self.with_also(0, read(features, mask));
        match &self.labels {
            Some(labels) => read.with::<Labels>(labels.shallow_clone()),
            None => read,
        }
    }

    /// What the teacher's side reads of these features.
    pub(crate) fn teacher_read(&self, features: &[Tensor], mask: Option<&Tensor>) -> Features {
        self.with_also(1, read(features, mask))
    }

    fn with_also(&self, side: usize, mut read: Features) -> Features {
        read.also.extend(self.also[side].iter().map(|(role, value)| (*role, value.shallow_clone())));
        read
    }

    /// What the sides read beside their features, where it is of positions, made into something else.
    pub(crate) fn also_by(&self, change: impl Fn(&Tensor) -> Tensor) -> [Vec<(&'static str, Tensor)>; 2] {
        self.also.each_ref().map(|side| {
            let changed = |(role, value): &(&'static str, Tensor)| match value.size() == [2, 3] {
                true => (*role, change(value)),
                false => (*role, value.shallow_clone()),
            };
            side.iter().map(changed).collect()
        })
    }

    /// Whether its gradient is that of its value: of some losses a factor has none.
    pub(crate) fn is_differentiated_whole(&self) -> bool {
        !["adaptive_kl", "taid", "wsld"].contains(&self.loss.name())
            && !self.name.contains("detached_mixture\":true")
    }

    /// The value with this mask on both sides, or without one.
    pub(crate) fn value(&self, mask: Option<&Tensor>) -> f64 {
        value(&*self.loss, &self.student_read(&self.student, mask), &self.teacher_read(&self.teacher, mask))
    }

    /// Whether it reads a mask: `pkd` reads the first position alone, and of `chunked_with_labels` the
    /// labels say what counts.
    pub(crate) fn is_masked(&self) -> bool {
        !["pkd", "chunked_with_labels"].contains(&self.loss.name())
    }
}

/// Logits of `(batch, length, classes)`.
pub(crate) fn logits() -> Sides {
    (vec![seq(&[2, 3, 5], 0.7, 0.1, 2.0)], vec![seq(&[2, 3, 5], 0.9, 0.4, 3.0)])
}

/// One logit per position.
fn binary() -> Sides {
    (vec![seq(&[2, 3, 1], 0.7, 0.1, 2.0)], vec![seq(&[2, 3, 1], 0.9, 0.4, 3.0)])
}

/// The teacher of [`logits`] as a store has it: some classes of each position, their logits, and the logsumexp
/// of all.
fn stored(classes: impl Fn(&Tensor) -> Tensor) -> Sides {
    let (student, teacher) = logits();
    let ids = classes(&teacher[0]);
    let at = teacher[0].gather(-1, &ids, false);
    (student, vec![ids, at, teacher[0].logsumexp([-1], false)])
}

/// Four draws of each position.
fn draws(logits: &Tensor) -> Tensor {
    let place = Tensor::arange(24, (Kind::Int64, Device::Cpu)).view([2, 3, 4]);
    place.remainder(logits.size()[2])
}

/// The student's id and the teacher's of the tokens that both know.
const PAIRS: [(i64, i64); 3] = [(0, 3), (2, 1), (3, 4)];

/// Labels of [`logits`], one of which does not count.
pub(crate) fn labels() -> Tensor {
    Tensor::from_slice(&[1_i64, -100, 0, 4, 2, 3]).view([2, 3])
}

/// One layer of hidden states.
pub(crate) fn hidden() -> Sides {
    let (student, teacher) = layers();
    (student.into_iter().take(1).collect(), teacher.into_iter().take(1).collect())
}

/// Two layers of hidden states.
pub(crate) fn layers() -> Sides {
    let student = vec![seq(&[2, 3, 4], 0.6, 0.1, 1.0), seq(&[2, 3, 4], 1.1, 0.5, 1.0)];
    (student, vec![seq(&[2, 3, 4], 0.4, 0.9, 1.2), seq(&[2, 3, 4], 1.3, 0.2, 1.2)])
}

/// Attention maps of scores.
pub(crate) fn scores() -> Sides {
    (vec![seq(&[2, 2, 3, 3], 0.5, 0.2, 1.5)], vec![seq(&[2, 2, 3, 3], 0.8, 0.3, 1.5)])
}

/// Attention maps of probabilities: the softmax of [`scores`].
pub(crate) fn probabilities() -> Sides {
    let softmax = |maps: Vec<Tensor>| maps.iter().map(|map| map.softmax(-1, Kind::Double)).collect();
    let (student, teacher) = scores();
    (softmax(student), softmax(teacher))
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(KdCe::at(3.0), logits()),
        Case::new(KdCe::at(3.0).times_temperature_squared(), logits()),
        Case::new(KdMse::at(3.0), logits()),
        Case::new(Kl::at(3.0), logits()),
        Case::new(Kl::at(3.0).teacher_at(2.0).times_temperature_squared(), logits()),
        Case::new(ReverseKl::at(2.0), logits()),
        Case::new(Jsd::between(0.3).at(2.0), logits()),
        Case::new(SkewKl::by(0.1), logits()),
        Case::new(SkewReverseKl::by(0.1), logits()),
        Case::new(SkewReverseKl::by(0.1).with_detached_mixture(), logits()),
        Case::new(TotalVariation::at(2.0), logits()),
        Case::new(AdaptiveKl::with_head(0.5), logits()),
        Case::new(Taid::at(1.0), logits()),
        Case::new(Dist::at(2.0).times_temperature_squared(), logits()),
        Case::new(MultiLabelKl::at(2.0), logits()),
        Case::new(RegressionMse, logits()),
        Case::new(standardised(Kl::at(2.0)), logits()),
        Case::labelled(Dkd::at(4.0).times_temperature_squared()),
        Case::labelled(Nkd::at(2.0).times_temperature_squared()),
        Case::labelled(Wsld::at(2.0)),
        Case::labelled(Mft::at(1.0)),
        Case::labelled(standardised(Dkd::at(2.0))),
        Case::new(BinaryKl::at(2.0), binary()),
        Case::new(next_token(Kl::at(2.0)), logits()),
        Case::new(within_vocabulary(4, Kl::at(1.0)), logits()),
        Case::new(TopK::of(2, Kl::at(2.0).times_temperature_squared()), logits()),
        Case::new(TopK::of(2, Jsd::between(0.3)), logits()),
        Case::new(TopK::of(3, ReverseKl::at(1.0)).semantics(TopKSemantics::RenormalisedBoth), logits()),
        Case::new(TopK::of(2, Kl::at(1.0)).semantics(TopKSemantics::RenormalisedTeacher), logits()),
        Case::new(TopK::of(2, Kl::at(1.0)).semantics(TopKSemantics::Partial), logits()),
        Case::new(TopK::of(2, SkewKl::by(0.1)), stored(|logits| logits.topk(2, -1, true, true).1)),
        Case::new(SampledKl::draws(4), stored(draws)),
        Case::new(SharedTokens::of(PAIRS, Kl::at(2.0)), logits()),
        Case::new(SharedTokens::of(PAIRS, TotalVariation::at(1.0)), logits()),
        Case::new(Uld::at(2.0), logits()),
        Case::of_texts(AlignedUld::observed()),
        Case::of_texts(AlignedUld::bayesian().at(2.0)),
        Case::of_texts(Gold::of(PAIRS, Jsd::between(0.3))),
        Case::of_texts(Gold::of(PAIRS, Jsd::between(0.5).at(2.0)).bayesian().weights(0.7, 0.2)),
        Case::with_matrices(Chunked::of(Kl::at(2.0)).rows(4)),
        Case::with_matrices(Chunked::of(Jsd::between(0.3))),
        Case {
            labels: Some(labels()),
            ..Case::with_matrices(Chunked::of(ReverseKl::at(1.0)).rows(2).with_labels(0.5))
        },
        Case::new(HiddenMse, hidden()),
        Case::new(Cos, hidden()),
        Case::new(Pkd, hidden()),
        Case::new(Fsp, layers()),
        Case::new(Nst, layers()),
        Case::new(AttentionMse::probabilities(), probabilities()),
        Case::new(AttentionMse::scores(), scores()),
        Case::new(AttentionMse::textbrewer(), scores()),
        Case::new(AttentionMseSum::probabilities(), probabilities()),
        Case::new(AttentionMseSum::scores(), scores()),
        Case::new(AttentionMseSum::textbrewer(), scores()),
        Case::new(AttentionCe::probabilities(), probabilities()),
        Case::new(AttentionCe::scores(), scores()),
        Case::new(AttentionCe::textbrewer(), scores()),
        Case::new(AttentionCeMean::probabilities(), probabilities()),
        Case::new(AttentionCeMean::scores(), scores()),
        Case::new(AttentionCeMean::textbrewer(), scores()),
        Case::new(Sp, hidden()),
        Case::new(Cka, hidden()),
        Case::new(RkdDistance::of_means(), hidden()),
        Case::new(RkdDistance::of_first_positions(), hidden()),
        Case::new(RkdAngle::of_means(), hidden()),
        Case::new(Pkt::of_means(), hidden()),
        Case::new(Pkt::of_first_positions(), hidden()),
        Case::new(AtMse, hidden()),
        Case::new(AtNorm, hidden()),
        Case::new(Vid::between(4, 4), hidden()),
        Case::new(Ickd, hidden()),
        Case::new(NstPoly, hidden()),
        Case::new(Cwd::at(2.0), hidden()),
        Case::new(PearsonKd, hidden()),
        Case::new(Hcl, hidden()),
        Case::new(MiniLmRelation::heads(2), hidden()),
        Case::new(MiniLmAttention::probabilities(), probabilities()),
        Case::new(MiniLmAttention::scores(), scores()),
        Case::new(EmdHidden, layers()),
        Case::new(EmdAttention, probabilities()),
    ]
}
