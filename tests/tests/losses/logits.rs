//! Losses on logits against the values that their papers' own code gives, in float64, with the norm of
//! the gradient and its first element.
//!
//! The inputs are closed forms. Values and gradients were made by the code that each line names; those
//! without a gradient in it, and the factors that have none, by PyTorch 2.11 from the formula:
//!
//! ```python
//! import torch, torch.nn.functional as F
//! torch.set_default_dtype(torch.float64)
//! g = lambda n, a, b, s, *shape: (torch.arange(n) * a + b).sin().mul(s).view(shape)
//! zs, zt, y = g(28, .7, .3, 2, 4, 7), g(28, 1.1, .9, 3, 4, 7), torch.tensor([2, 0, 5, 6])
//! ls, lt = g(110, .37, .1, 2.5, 2, 5, 11), g(110, .53, .7, 3, 2, 5, 11)
//! m = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]], dtype=bool)
//! def show(f, z):
//!     z = z.clone().requires_grad_(); v = f(z); v.backward(); print(v.item(), z.grad.norm().item())
//! P = lt.softmax(-1)[m]
//! def akl(z):
//!     q = z.softmax(-1)[m]; s, i = P.sort(-1, descending=True); n = (s.cumsum(-1) < .5).sum(-1)
//!     head = torch.zeros_like(P, dtype=bool)
//!     for r in range(7): head[r, i[r, :n[r] + 1]] = True
//!     gap = (P - q).abs().detach(); h, t = (gap * head).sum(-1), (gap * ~head).sum(-1)
//!     return ((h * (P * (P / q).log()).sum(-1) + t * (q * (q / P).log()).sum(-1)) / (h + t)).mean()
//! show(akl, ls)
//! show(lambda z: -((.6 * z.detach() + .4 * lt).softmax(-1)[m] * z.log_softmax(-1)[m]).sum(-1).mean(), ls)
//! show(lambda z: .5 * (z.softmax(-1)[m] - P).abs().sum(-1).mean(), ls)
//! ce = lambda z: F.cross_entropy(z, y, reduction="none")
//! show(lambda z: 4 * ((1 - (-ce(z.detach()) / (ce(zt) + 1e-7)).exp())
//!      * -((zt / 2).softmax(-1) * (z / 2).log_softmax(-1)).sum(-1)).mean(), zs)
//! p = zt.softmax(-1); gap = p.max(-1).values - p.gather(1, y[:, None])[:, 0]
//! w = ((gap + .2) / (1 + gap)).clamp(0, 1)[:, None]
//! show(lambda z: F.kl_div(z.log_softmax(-1), (1 - w) * p + w * F.one_hot(y, 7), reduction="batchmean"), zs)
//! bce = F.binary_cross_entropy_with_logits
//! show(lambda z: 4 * (bce(z / 2, (zt / 2).sigmoid(), reduction="none")
//!      - bce(zt / 2, (zt / 2).sigmoid(), reduction="none")).sum(-1).mean(), zs)
//! ```
//!
//! Left out, because nobody should compute them: ModelOpt's mean over classes too (0.4773 for 3.3414),
//! adaptive KL with its head left sorted (2.2361 for 1.8482), DistillKit's sums with an epsilon.

use brew_core::loss::{
    AdaptiveKl, BinaryKl, Dist, Dkd, Features, Jsd, KdCe, Kl, Learns, Loss, Mft, MultiLabelKl, Nkd,
    RegressionMse, ReverseKl, SkewKl, SkewReverseKl, Taid, TotalVariation, Wsld, standardised,
};
use brew_core::role::Labels;
use brew_core::tch::{Kind, Tensor};
use tests::seq;

use crate::cases::{assert_close, value};

/// Four rows of seven classes, with labels.
pub(crate) fn short() -> (Features, Features) {
    let labels = Tensor::from_slice(&[2_i64, 0, 5, 6]);
    let student = Features::one(seq(&[4, 7], 0.7, 0.3, 2.0)).with::<Labels>(labels);
    (student, Features::one(seq(&[4, 7], 1.1, 0.9, 3.0)))
}

/// Two rows of five positions of eleven classes, seven of which count.
pub(crate) fn long() -> (Features, Features) {
    let labels = Tensor::from_slice(&[-100_i64, -100, 3, 1, 7, -100, 4, 10, 0, 2]).view([2, 5]);
    let mask = labels.ge(0).to_kind(Kind::Int64);
    let student = Features::one(seq(&[2, 5, 11], 0.37, 0.1, 2.5)).with_mask(mask.shallow_clone());
    (student.with::<Labels>(labels), Features::one(seq(&[2, 5, 11], 0.53, 0.7, 3.0)).with_mask(mask))
}

/// The value of a loss and its gradient to the student's first feature.
pub(crate) fn value_and_gradient(loss: &dyn Loss, (student, teacher): (Features, Features)) -> (f64, Tensor) {
    let leaf = student.tensors[0].copy().set_requires_grad(true);
    let student = student.with_tensors(vec![leaf.shallow_clone()]);
    assert_eq!(loss.mismatches(&student, &teacher), [""; 0], "{}", loss.name());
    let value = loss.term(&student, &teacher).unwrap().mean().unwrap();
    value.backward();
    (value.double_value(&[]), leaf.grad())
}

#[track_caller]
fn check(loss: &dyn Loss, sides: (Features, Features), value: f64, norm: Option<f64>, first: Option<f64>) {
    let what = format!("{} {}", loss.name(), loss.options());
    let (found, gradient) = value_and_gradient(loss, sides);
    assert_close(found, value, &what);
    if let Some(norm) = norm {
        assert_close(gradient.norm().double_value(&[]), norm, &format!("{what}, norm of the gradient"));
    }
    if let Some(first) = first {
        assert_close(
            gradient.reshape([-1]).double_value(&[0]),
            first,
            &format!("{what}, first of the gradient"),
        );
    }
}

// mdistiller's KD.py; sentence-transformers' distill_kl_div.py for two temperatures.
#[test]
fn forward_kl() {
    let hinton = Kl::at(4.0).times_temperature_squared();
    check(&hinton, short(), 3.341_375_977_539_818, Some(0.487_815_573_793), Some(-0.057_283_710_328));
    check(&Kl::at(2.0).times_temperature_squared(), short(), 2.783_584_373_003, None, None);
    check(&Kl::at(2.0).teacher_at(1.0).times_temperature_squared(), short(), 4.615_138_160_427, None, None);
    // TRL's gkd_trainer.py, beta 0.
    check(&Kl::at(1.0), long(), 1.608_539_871_884_640_5, Some(0.205_984_442_931), None);
}

// TRL's gkd_trainer.py.
#[test]
fn reverse_kl_and_the_divergences_between() {
    check(&ReverseKl::at(1.0), long(), 1.987_300_375_648_836_5, Some(0.245_434_739_677), None);
    let jsd = Jsd::between;
    check(&jsd(0.1), long(), 0.119_773_550_467_338_95, Some(0.013_125_760_072), None);
    check(&jsd(0.5), long(), 0.298_151_684_920_526_7, Some(0.030_284_283_271), None);
    check(&jsd(0.9), long(), 0.132_912_995_711_425_62, Some(0.013_846_506_283), None);
    check(&jsd(0.5).at(2.0), long(), 0.135_651_819_756_717_7, None, None);
}

// DistiLLM's losses.py; its total variation and its cross-entropy form too.
#[test]
fn skewed_divergences_and_total_variation() {
    check(&SkewKl::by(0.1), long(), 0.976_783_753_564_299_9, Some(0.102_582_015_670), None);
    let reverse = SkewReverseKl::by(0.1);
    check(&reverse, long(), 1.028_458_993_135, Some(0.104_077_854_336), None);
    check(&reverse.with_detached_mixture(), long(), 1.028_458_993_135, Some(0.138_465_062_826), None);
    check(&TotalVariation::at(1.0), long(), 0.612_085_872_353, Some(0.057_371_871_904_021_11), None);

    let value = |loss: &dyn Loss| value_and_gradient(loss, long()).0;
    let entropy = value(&KdCe::at(1.0)) - value(&Kl::at(1.0));
    assert_close(
        value(&SkewKl::by(0.1)) + entropy,
        2.558_050_524_299,
        "the cross-entropy that DistiLLM logs",
    );
}

// The paper's formula; DSKD's code agrees to 8 digits.
#[test]
fn adaptive_kl() {
    check(&AdaptiveKl::with_head(0.5), long(), 1.848_235_863_044_653_6, Some(0.213_557_833_220_809_12), None);
}

// mdistiller's DKD.py.
#[test]
fn decoupled_parts() {
    let dkd = || Dkd::at(4.0).times_temperature_squared();
    check(&dkd(), short(), 25.391_883_207_369_187, Some(4.128_042_712_410), Some(-0.390_941_539_820));
    check(&dkd().beta(0.0), short(), 0.636_255_306_188_618_6, None, None);
    check(&dkd().alpha(0.0).beta(1.0), short(), 3.094_453_487_647_571, None, None);
}

// A row's divergence is the label's part and (1 - p_y) of the others' (the paper's equation 7).
#[test]
fn the_decoupled_parts_of_each_row_make_up_its_divergence() {
    let (student, teacher) = short();
    let of_label = teacher.tensors[0].softmax(-1, Kind::Double).gather(
        1,
        &student.labels().unwrap().unsqueeze(1),
        false,
    );
    for row in 0..4 {
        let cut = |read: &Features| {
            let labels = student.labels().unwrap().narrow(0, row, 1);
            Features::one(read.tensors[0].narrow(0, row, 1)).with::<Labels>(labels)
        };
        let value = |loss: &dyn Loss| value_and_gradient(loss, (cut(&student), cut(&teacher))).0;
        let share = 1.0 - of_label.double_value(&[row, 0]);
        assert_close(value(&Dkd::at(1.0).beta(share)), value(&Kl::at(1.0)), "KD = TCKD + (1 - p_y) NCKD");
    }
}

// yzd-v/cls_KD's nkd.py.
#[test]
fn normalised_parts() {
    let nkd = |temperature| Nkd::at(temperature).times_temperature_squared();
    check(&nkd(1.0), short(), 3.986_835_815_780_997, Some(0.573_643_043_289), Some(-0.034_847_398_099));
    check(&nkd(2.0), short(), 12.252_063_772_463, None, None);
}

// hunto/DIST_KD's dist_kd.py.
#[test]
fn correlations_within_rows_and_classes() {
    check(&Dist::at(1.0).gamma(0.0), short(), 1.183_266_660_140_864_1, None, None);
    check(&Dist::at(1.0).beta(0.0), short(), 1.199_001_106_056_820_2, None, None);
    let sum = 1.183_266_660_140_864_1 + 1.199_001_106_056_820_2;
    check(&Dist::at(1.0), short(), sum, Some(0.324_522_163_863), Some(-0.026_385_996_694));
}

// The official KD.py, without its factor of 9.
#[test]
fn standardised_logits() {
    let loss = standardised(Kl::at(2.0).times_temperature_squared());
    check(&loss, short(), 0.976_396_108_689_326_8, Some(0.108_087_699_646), Some(-0.021_976_170_324));
}

// MMRazor's weighted_soft_label_distillation.py; ModelOpt's MFTLoss, whose own epsilon is seen at 1e-8.
#[test]
fn soft_labels_weighted_and_mended() {
    let wsld = Wsld::at(2.0).times_temperature_squared();
    check(
        &wsld,
        short(),
        3.818_743_392_633_166_5,
        Some(0.204_379_829_347_528_07),
        Some(-0.011_910_573_166_619_802),
    );
    let mft = Mft::at(1.0).threshold(0.2);
    check(
        &mft,
        short(),
        1.284_839_270_507_799_6,
        Some(0.277_642_971_567_791_9),
        Some(-0.011_782_540_080_997_996),
    );
    let (found, _) = value_and_gradient(&mft, short());
    assert!((found - 1.284_839_272_609_233_7).abs() < 1e-8, "ModelOpt's own value, {found}");
}

// Each row by itself, float64, torch 2.11.0. The teacher is right and leads by more than 0.2 in the first two,
// right by less in the third, and wrong in the fourth. ModelOpt's are those of `MFTLoss(threshold=0.2)`,
// p' = (1 - w) p + w onehot with w = (min(1, p_y + 0.2) - p_y) / (1 - p_y + 1e-7) where the teacher is right.
#[test]
fn a_teacher_that_is_right_by_the_threshold_is_left_as_it_is() {
    let students = [[1.0, 2.0, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.5, 0.0, 0.0]];
    let teachers = [[2.0, 1.0, 0.0], [4.0, 0.0, 0.5], [0.4, 0.3, 0.2], [0.0, 3.0, 1.0]];
    let ours =
        [0.432_260_017_798_398_5, 1.315_930_009_418_128, 0.378_909_131_091_685_1, 0.169_696_595_953_840_57];
    let model_opts =
        [0.910_181_509_974_203_9, 1.551_442_898_087_400_7, 0.445_654_468_508_621_5, 0.169_696_591_041_389_73];
    let kl = Kl::at(1.0);
    for (row, (student, teacher)) in students.iter().zip(&teachers).enumerate() {
        let student = Features::one(Tensor::from_slice(student).view([1, 3]));
        let student = student.with::<Labels>(Tensor::from_slice(&[0_i64]));
        let teacher = Features::one(Tensor::from_slice(teacher).view([1, 3]));
        let found = value(&Mft::at(1.0).threshold(0.2), &student, &teacher);
        assert_close(found, ours[row], &format!("row {row}"));
        // ModelOpt's epsilon is seen at 1e-8.
        assert_eq!((found - model_opts[row]).abs() < 1e-7, row == 3, "row {row}, ModelOpt");
        let unmended = value(&kl, &student, &teacher);
        assert_eq!((found - unmended).abs() < 1e-12, row < 2, "row {row}: {found}, {unmended} unmended");
    }
}

// PyTorch's binary cross-entropy with soft targets, less the teacher's own.
#[test]
fn yes_and_no_by_class() {
    let loss = MultiLabelKl::at(2.0).times_temperature_squared();
    check(
        &loss,
        short(),
        5.487_886_161_964_687,
        Some(0.800_486_064_713_951),
        Some(-0.095_349_416_054_261_62),
    );
    // One logit is two, of which the other is 0.
    let one = |read: &Features| read.tensors[0].narrow(1, 0, 1);
    let two = |read: &Features| Tensor::cat(&[one(read).zeros_like(), one(read)], 1);
    let (student, teacher) = short();
    let (expected, _) =
        value_and_gradient(&Kl::at(2.0), (Features::one(two(&student)), Features::one(two(&teacher))));
    for shape in [vec![4], vec![4, 1], vec![2, 2, 1]] {
        let side = |read: &Features| Features::one(one(read).reshape(&shape));
        check(&BinaryKl::at(2.0), (side(&student), side(&teacher)), expected, None, None);
    }
}

// torch.nn.functional.mse_loss.
#[test]
fn numbers() {
    let (student, teacher) = short();
    let expected = student.tensors[0].mse_loss(&teacher.tensors[0], brew_core::tch::Reduction::Mean);
    check(&RegressionMse, short(), expected.double_value(&[]), None, None);
    let column = |read: &Features| Features::one(read.tensors[0].select(1, 0));
    let (student, teacher) = (column(&student), column(&teacher));
    let expected = student.tensors[0].mse_loss(&teacher.tensors[0], brew_core::tch::Reduction::Mean);
    check(&RegressionMse, (student, teacher), expected.double_value(&[]), None, None);
}

// SakanaAI/TAID's taid.py.
#[test]
fn taid_at_its_start() {
    check(&Taid::at(1.0), long(), 2.282_167_932_896_165_6, Some(0.105_140_677_156_579_53), None);
    let (student, teacher) = long();
    let mixed = student.tensors[0].lerp(&teacher.tensors[0], 0.4);
    let mixed = Features::one(mixed).with_mask(teacher.mask.unwrap());
    check(&Kl::at(1.0), (student, mixed), 0.353_112_078_694_665_4, None, None);
}

/// The tau of each of six steps with these losses: each is what one position's cross-entropy is set to.
fn taus(loss: &mut Taid, steps: u64, losses: &[f64]) -> Vec<f64> {
    let mut found = Vec::new();
    for (step, wanted) in losses.iter().enumerate() {
        loss.before_step(step as u64, steps).unwrap();
        // Two classes, (0, 0) of the teacher and (a, -a) of a student: solved for the loss wanted.
        let value = |a: f64| {
            let student = Tensor::from_slice(&[a, -a]).view([1, 2]).set_requires_grad(true);
            let teacher =
                Features::one(Tensor::from_slice(&[-20.0 * a.signum(), 20.0 * a.signum()]).view([1, 2]));
            (Features::one(student), teacher)
        };
        let at = |a: f64| {
            let (student, teacher) = value(a);
            loss.term(&student, &teacher).unwrap().mean().unwrap().double_value(&[])
        };
        let (mut low, mut high) = (0.0, 4.0);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if at(middle) < *wanted { low = middle } else { high = middle }
        }
        let (student, teacher) = value(low);
        let term = loss.term(&student, &teacher).unwrap();
        loss.after_term(&term).unwrap();
        assert_close(term.mean().unwrap().double_value(&[]), *wanted, "the loss that was asked for");
        loss.after_step().unwrap();
        found.push(loss.tau());
    }
    found
}

const LOSSES: [f64; 6] = [2.0, 1.9, 1.7, 1.75, 1.2, 1.0];

#[test]
fn taid_moves_as_its_own_code_does() {
    let few = taus(&mut Taid::at(1.0), 6, &LOSSES);
    let many = taus(&mut Taid::at(1.0).alpha(0.5), 600, &LOSSES);
    let expected_few = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    let expected_many = [0.4, 0.550_037_500, 0.662_615_172, 0.747_013_591, 0.810_398_340, 0.857_940_754];
    for (found, expected) in few.iter().zip(expected_few).chain(many.iter().zip(expected_many)) {
        assert!((found - expected).abs() < 1e-8, "{few:?}, {many:?}");
    }
}

#[test]
fn taid_resumes_from_its_state() {
    let whole = taus(&mut Taid::at(1.0).alpha(0.5), 0, &LOSSES);
    let mut first = Taid::at(1.0).alpha(0.5);
    let mut cut = taus(&mut first, 0, &LOSSES[..3]);
    let mut second = Taid::at(1.0).alpha(0.5);
    second.restore(&first.state().unwrap()).unwrap();
    cut.extend(taus(&mut second, 0, &LOSSES[3..]));
    assert_eq!(cut, whole);
    let error = second.restore(&std::collections::BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "the state of `taid` has no number `tau`");
}

#[test]
fn options_that_cannot_be_are_refused_with_what_they_may_be() {
    let cases: [(&dyn Loss, &str); 9] = [
        (&Jsd::between(0.0), "forward Kullback-Leibler is `Kl::at(…)`, reverse `ReverseKl::at(…)`"),
        (&Jsd::between(1.0), "it must lie in (0, 1)"),
        (&SkewKl::by(0.0), "alpha of the skewed divergence is 0; it must lie in (0, 1)"),
        (&SkewReverseKl::by(f64::NAN), "alpha of the skewed divergence is NaN"),
        (&AdaptiveKl::with_head(1.5), "mu of the adaptive divergence is 1.5"),
        (&Kl::at(0.0), "the temperature is 0; it must be finite and above 0"),
        (&Dkd::at(1.0).beta(-1.0), "beta is -1; it must be finite, and 0 or above"),
        (&Taid::at(1.0).between(0.9, 0.4), "tau goes from 0.9 to 0.4"),
        (&Mft::at(1.0).threshold(1.0), "the threshold is 1; it must lie in [0, 1)"),
    ];
    for (loss, expected) in cases {
        let problems = loss.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}
