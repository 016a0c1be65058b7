//! Every loss with the closed-form inputs of the golden values.

use brew_core::loss::{
    AdaptiveKl, AtMse, AtNorm, AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cka, Cos, Cwd,
    Dist, Dkd, EmdAttention, EmdHidden, Fsp, HiddenMse, Ickd, Jsd, KdCe, KdMse, Kl, Loss, Mft,
    MiniLmAttention, MiniLmRelation, MultiLabelKl, Nkd, Nst, NstPoly, PearsonKd, Pkd, Place, Read,
    RegressionMse, ReverseKl, SkewKl, SkewReverseKl, Sp, Taid, TotalVariation, Vid, Wsld, standardised,
};
use brew_core::role::Labels;
use brew_core::tch::{Device, Kind, Tensor};
use tests::seq;

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
    /// The dimensions that are lengths.
    pub(crate) lengths: &'static [i64],
}

/// What a side reads.
pub(crate) fn read(features: &[Tensor], mask: Option<&Tensor>) -> Read {
    let features = features.iter().map(Tensor::shallow_clone).collect();
    Read { features, mask: mask.map(Tensor::shallow_clone), ..Read::default() }
}

/// The value of a loss.
pub(crate) fn value(loss: &dyn Loss, student: &Read, teacher: &Read) -> f64 {
    loss.term(student, teacher).unwrap().mean().unwrap().double_value(&[])
}

#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9, "{what}: found {found}, expected {expected}");
}

impl Case {
    fn new(loss: impl Loss, (student, teacher): Sides) -> Self {
        let name = format!("{} {}", loss.name(), loss.options());
        let lengths: &[i64] = if loss.name().contains("attention") { &[2, 3] } else { &[1] };
        loss.prepare(&Place { kind: Kind::Double, device: Device::Cpu, seed: 7 }).unwrap();
        // What a loss learns starts so small that finite differences would see little of it.
        brew_core::tch::no_grad(|| {
            for (_, parameter) in loss.parameters().iter() {
                parameter.shallow_clone().copy_(&seq(&parameter.size(), 0.7, 0.2, 0.5));
            }
        });
        Case { name, loss: Box::new(loss), student, teacher, labels: None, lengths }
    }

    /// A loss on logits that reads their labels.
    fn labelled(loss: impl Loss) -> Self {
        Case { labels: Some(labels()), ..Case::new(loss, logits()) }
    }

    /// What the student's side reads of these features.
    pub(crate) fn student_read(&self, features: &[Tensor], mask: Option<&Tensor>) -> Read {
        let read = read(features, mask);
        match &self.labels {
            Some(labels) => read.with::<Labels>(labels.shallow_clone()),
            None => read,
        }
    }

    /// Whether its gradient is that of its value: of some losses a factor has none.
    pub(crate) fn is_differentiated_whole(&self) -> bool {
        !["adaptive_kl", "taid", "wsld"].contains(&self.loss.name())
            && !self.name.contains("detached_mixture\":true")
    }

    /// The value with this mask on both sides, or without one.
    pub(crate) fn value(&self, mask: Option<&Tensor>) -> f64 {
        value(&*self.loss, &self.student_read(&self.student, mask), &read(&self.teacher, mask))
    }

    /// Whether padding can reach it: `pkd` reads the first position alone.
    pub(crate) fn is_masked(&self) -> bool {
        self.loss.name() != "pkd"
    }
}

/// Logits of `(batch, length, classes)`.
pub(crate) fn logits() -> Sides {
    (vec![seq(&[2, 3, 5], 0.7, 0.1, 2.0)], vec![seq(&[2, 3, 5], 0.9, 0.4, 3.0)])
}

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
        Case::new(AtMse, hidden()),
        Case::new(AtNorm, hidden()),
        Case::new(Vid::between(4, 4), hidden()),
        Case::new(Ickd, hidden()),
        Case::new(NstPoly, hidden()),
        Case::new(Cwd::at(2.0), hidden()),
        Case::new(PearsonKd, hidden()),
        Case::new(MiniLmRelation::heads(2), hidden()),
        Case::new(MiniLmAttention::probabilities(), probabilities()),
        Case::new(MiniLmAttention::scores(), scores()),
        Case::new(EmdHidden, layers()),
        Case::new(EmdAttention, probabilities()),
    ]
}
