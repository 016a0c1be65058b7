//! Losses on features against the values of published programs, in float64.
//!
//! The values are those of `fixtures/losses.json`, which names the program of each; the gradients' norms
//! and first elements are the same programs', and where a program gives none, those of the formula in
//! PyTorch (`tests/reference.py` checks them on random tensors too). CRD's values come from
//! RepDistiller's `crd/memory.py` and `crd/criterion.py` at commit b84f547.

use std::collections::BTreeMap;

use brew_core::loss::{
    AtMse, AtNorm, CandidatesKl, Cka, Crd, Cwd, Features, Hcl, Ickd, Learns, Loss, MarginMse, MiniLmRelation,
    NstPoly, PearsonKd, Pkt, RkdAngle, RkdDistance, Sp, Vid,
};
use brew_core::role::Index;
use brew_core::tch::{Device, Kind, Tensor};
use tests::{finite_difference_error, peer, seq};

use crate::cases::{assert_close, prepare, value};

/// Six examples, 5 and 8 wide.
fn vectors() -> (Tensor, Tensor) {
    (seq(&[6, 5], 0.9, 0.2, 1.0), seq(&[6, 8], 0.45, 1.3, 1.5))
}

/// Two examples' feature maps.
fn maps() -> (Tensor, Tensor) {
    (seq(&[2, 3, 4, 4], 0.31, 0.2, 1.0), seq(&[2, 3, 4, 4], 0.47, 0.8, 1.2))
}

/// A loss, the name of its value, and the gradient's first element and norm where they are known.
type Case<'l> = (&'l dyn Loss, &'static str, Option<(f64, f64)>);

/// Value, first element of the gradient and its norm.
fn measured(loss: &dyn Loss, student: &Tensor, teacher: &Tensor) -> (f64, f64, f64) {
    let leaf = student.copy().set_requires_grad(true);
    let term =
        loss.term(&Features::one(leaf.shallow_clone()), &Features::one(teacher.shallow_clone())).unwrap();
    let mean = term.mean().unwrap();
    mean.backward();
    let gradient = leaf.grad();
    (mean.double_value(&[]), gradient.flatten(0, -1).double_value(&[0]), gradient.norm().double_value(&[]))
}

#[test]
fn relations_between_examples_equal_the_published_programs() {
    let (student, teacher) = vectors();
    let cases: [Case<'_>; 5] = [
        (
            &RkdDistance::of_means(),
            "RKD-D (torchdistill/RepDistiller)",
            Some((-0.000_237_669_942, 0.036_502_503_274)),
        ),
        (
            &RkdAngle::of_means(),
            "RKD-A (torchdistill/RepDistiller)",
            Some((-0.005_224_419_770, 0.034_180_993_208)),
        ),
        (&Pkt::of_means(), "PKT (torchdistill)", None),
        (&Sp, "SP (paper, L2 rows, / N^2)", None),
        (&Cka, "1 - linear CKA (n=6, 5 vs 8 dims)", None),
    ];
    for (loss, name, gradient) in cases {
        let (value, first, norm) = measured(loss, &student, &teacher);
        assert_close(value, peer(name), name);
        if let Some((expected_first, expected_norm)) = gradient {
            assert_close(first, expected_first, &format!("{name}, first of the gradient"));
            assert_close(norm, expected_norm, &format!("{name}, norm of the gradient"));
        }
    }
}

#[test]
fn losses_on_feature_maps_equal_the_published_programs() {
    let (student, teacher) = maps();
    let cases: [(&dyn Loss, &str); 6] = [
        (&AtMse, "AT code-mode (torchdistill)"),
        (&AtNorm, "AT paper-mode (torchdistill)"),
        (&Ickd, "ICKD/ChSim (torchdistill)"),
        (&NstPoly, "NST poly (mdistiller)"),
        (&Cwd::at(4.0), "CWD tau=4 (mmrazor)"),
        (&PearsonKd, "Pearson-KD (mmrazor PKDLoss)"),
    ];
    for (loss, name) in cases {
        assert_close(measured(loss, &student, &teacher).0, peer(name), name);
    }
}

// torch 2.11, seq(shape, step, phase, scale) = scale * sin(step * arange + phase) as here:
//   def hcl(fs, ft, pool):                                 # ReviewKD's, which pools by adaptive_avg_pool2d
//       n, loss, cnt, tot = fs.shape[2], F.mse_loss(fs, ft), 1.0, 1.0
//       for l in [4, 2, 1]:
//           if l >= n: continue
//           cnt /= 2.0
//           loss, tot = loss + F.mse_loss(pool(fs, l), pool(ft, l)) * cnt, tot + cnt
//       return loss / tot
//   s, t = seq((2, 3, 5, 5), 0.31, 0.2, 1.0), seq((2, 3, 5, 5), 0.47, 0.8, 1.2)
//   hcl(s, t, lambda x, l: F.adaptive_avg_pool2d(x, (l, l)))   # value, s.grad.flatten()[0], s.grad.norm()
//   s, t = seq((3, 7, 4), 0.6, 0.1, 1.0), seq((3, 7, 4), 0.4, 0.9, 1.2)
//   sum(hcl(a[m].T[None], b[m].T[None], F.adaptive_avg_pool1d) for a, b, m in zip(s, t, mask.bool())) / 3
#[test]
fn the_hierarchical_context_loss_equals_reviewkds_on_maps_and_on_the_positions_of_a_mask() {
    let maps = [seq(&[2, 3, 5, 5], 0.31, 0.2, 1.0), seq(&[2, 3, 5, 5], 0.47, 0.8, 1.2)];
    let (value, first, norm) = measured(&Hcl, &maps[0], &maps[1]);
    assert_close(value, 0.793_854_219_226_230, "hcl");
    assert_close(first, -0.003_923_126_433_827, "hcl, first of the gradient");
    assert_close(norm, 0.116_063_344_379_124, "hcl, norm of the gradient");

    let leaf = seq(&[3, 7, 4], 0.6, 0.1, 1.0).set_requires_grad(true);
    let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1]);
    let mask = mask.view([3, 7]);
    let student = Features::one(leaf.shallow_clone()).with_mask(mask.shallow_clone());
    let teacher = Features::one(seq(&[3, 7, 4], 0.4, 0.9, 1.2)).with_mask(mask);
    let mean = Hcl.term(&student, &teacher).unwrap().mean().unwrap();
    mean.backward();
    assert_close(mean.double_value(&[]), 0.618_211_903_557_710, "hcl of texts");
    let gradient = leaf.grad();
    assert_close(gradient.double_value(&[0, 0, 0]), -0.012_907_427_015_562, "hcl of texts, the gradient");
    assert_close(gradient.norm().double_value(&[]), 0.167_916_362_375_933, "hcl of texts, its norm");
}

#[test]
fn vid_with_a_known_mean_and_variance_equals_torchdistill() {
    let (student, teacher) = maps();
    let mut loss = Vid::between(3, 3);
    prepare(&mut loss, 0);
    let rho = ((0.5_f64 - 1e-5).exp() - 1.0).ln();
    set(&loss, "regressor.weight", &Tensor::eye(3, (Kind::Double, Device::Cpu)));
    set(&loss, "rho", &Tensor::from_slice(&[rho; 3]));
    let name = "VID term mu=cs,var=0.5,t=ct (mean)";
    assert_close(measured(&loss, &student, &teacher).0, peer(name), name);
}

fn set(loss: &dyn Learns, name: &str, value: &Tensor) {
    let _guard = brew_core::tch::no_grad_guard();
    let parameters = loss.parameters();
    let (_, parameter) = parameters.iter().find(|(found, _)| *found == name).unwrap();
    parameter.shallow_clone().copy_(value);
}

#[test]
fn a_relation_of_minilm_equals_bertdistillers_with_each_examples_own_mean() {
    let mask = Tensor::from_slice(&[1_i64, 1, 1, 0, 1, 1, 1, 1]).view([2, 4]);
    let student = Features::one(seq(&[2, 4, 6], 0.83, 0.1, 1.0)).with_mask(mask.shallow_clone());
    let teacher = Features::one(seq(&[2, 4, 12], 0.29, 0.6, 1.4)).with_mask(mask);
    let name = "MiniLMv2 relation KL A_r=3 one of {QQ,KK,VV}";
    assert_close(value(&MiniLmRelation::heads(3), &student, &teacher), peer(name), name);
}

// sentence-transformers' MarginMSELoss takes one positive and one negative score; its DistillKLDivLoss
// all candidates (values of survey runs at commit cad2119).
#[test]
fn scores_of_candidates_equal_sentence_transformers() {
    let (student, teacher) = (seq(&[4, 7], 0.7, 0.3, 2.0), seq(&[4, 7], 1.1, 0.9, 3.0));
    let pair = |scores: &Tensor| scores.narrow(1, 0, 2);
    let name = "MarginMSE (pos-neg margins)";
    assert_close(measured(&MarginMse, &pair(&student), &pair(&teacher)).0, peer(name), name);
    let at =
        |of_student, of_teacher| measured(&CandidatesKl::at(of_student, of_teacher), &student, &teacher).0;
    assert_close(at(2.0, 2.0), 2.783_584_373_003, "temperatures of 2 and 2");
    assert_close(at(2.0, 1.0), 4.615_138_160_427, "temperatures of 2 and 1");
}

/// Rows of length 1.
fn unit(tensor: &Tensor) -> Tensor {
    tensor / tensor.norm_scalaropt_dim(2, [1_i64].as_slice(), true)
}

/// RepDistiller's setting: ten rows of data, vectors of 4, three negatives, no map.
fn crd() -> Crd {
    let mut loss = Crd::over(10).between(4, 4).width(4).negatives(3);
    prepare(&mut loss, 0);
    for side in ["student", "teacher"] {
        set(&loss, &format!("{side}.weight"), &Tensor::eye(4, (Kind::Double, Device::Cpu)));
        set(&loss, &format!("{side}.bias"), &Tensor::zeros([4], (Kind::Double, Device::Cpu)));
    }
    let mut state = loss.state().unwrap();
    state.insert("student_bank".to_owned(), unit(&seq(&[10, 4], 0.37, 0.5, 1.0)));
    state.insert("teacher_bank".to_owned(), unit(&seq(&[10, 4], 0.71, 1.1, 1.0)));
    loss.restore(&state).unwrap();
    loss
}

/// The value on a batch, which then is a step of its own.
fn step(loss: &mut Crd, student: &Features, teacher: &Features) -> f64 {
    loss.before_step(0, 0).unwrap();
    let term = loss.term(student, teacher).unwrap();
    loss.after_term(&term).unwrap();
    loss.after_step().unwrap();
    term.mean().unwrap().double_value(&[])
}

fn crd_sides(requires_grad: bool) -> (Features, Features) {
    let student = unit(&seq(&[2, 4], 0.93, 0.2, 1.0)).set_requires_grad(requires_grad);
    let mut student = Features::one(student).with::<Index>(Tensor::from_slice(&[1_i64, 4]));
    student.also.insert("negatives", Tensor::from_slice(&[0_i64, 3, 7, 2, 8, 9]).view([2, 3]));
    (student, Features::one(unit(&seq(&[2, 4], 0.57, 0.8, 1.0))))
}

#[test]
fn crd_its_constants_and_its_banks_equal_repdistillers() {
    let mut loss = crd();
    let (student, teacher) = crd_sides(true);
    assert_eq!(loss.mismatches(&student, &teacher), [""; 0]);
    let both = 21.116_763_754_956 + 15.257_264_884_923;
    assert_close(step(&mut loss, &student, &teacher), both, "the student's term and the teacher's");
    let state = loss.state().unwrap();
    let number = |name: &str| state[name].double_value(&[0]);
    assert!((number("student_constant") - 328_395.075_393_7).abs() < 1e-6, "{state:?}");
    assert!((number("teacher_constant") - 2_491_809.951_603_9).abs() < 1e-6, "{state:?}");
    let moved = loss.state().unwrap()["student_bank"].get(1);
    for (place, expected) in
        [0.480_079_008_459, 0.683_406_452_124, 0.543_378_549_034, 0.084_967_754_372].iter().enumerate()
    {
        assert_close(moved.double_value(&[place as i64]), *expected, "the bank");
    }
    // The constants stay as they are, so the same batch has another value after the banks moved.
    assert!((value(&loss, &student, &teacher) - both).abs() > 1e-3);
    assert_eq!(loss.state().unwrap()["student_constant"], state["student_constant"]);
}

#[test]
fn a_step_of_crd_that_is_left_out_leaves_no_trace() {
    let mut loss = crd();
    let before = loss.state().unwrap();
    let (student, teacher) = crd_sides(true);
    let term = loss.term(&student, &teacher).unwrap();
    loss.after_term(&term).unwrap();
    assert_eq!(loss.state().unwrap(), before);
    loss.before_step(1, 2).unwrap();
    loss.after_step().unwrap();
    assert_eq!(loss.state().unwrap(), before);
}

#[test]
fn the_first_batch_of_a_step_fixes_the_constants_of_crd_for_those_that_follow() {
    let (student, teacher) = crd_sides(true);
    let (mut loss, alone) = (crd(), crd());
    let first = loss.term(&student, &teacher).unwrap();
    loss.after_term(&first).unwrap();
    let turned = (student.with_tensors(vec![teacher.tensors[0].flip([0])]), teacher);
    let (after, by_itself) = (value(&loss, &turned.0, &turned.1), value(&alone, &turned.0, &turned.1));
    assert!((after - by_itself).abs() > 1e-3, "{after} and {by_itself}");
}

#[test]
fn crd_resumes_from_its_state() {
    let (student, teacher) = crd_sides(true);
    let mut first = crd();
    step(&mut first, &student, &teacher);
    let mut second = crd();
    second.restore(&first.state().unwrap()).unwrap();
    assert_eq!(value(&first, &student, &teacher), value(&second, &student, &teacher));
    let error = second.restore(&BTreeMap::new()).unwrap_err().to_string();
    assert_eq!(error, "the state lacks `student_bank`");
}

#[test]
fn rows_that_no_bank_has_are_named() {
    let loss = crd();
    let (mut student, teacher) = crd_sides(false);
    student = student.with::<Index>(Tensor::from_slice(&[3_i64, 10]));
    assert_eq!(
        loss.mismatches(&student, &teacher),
        [
            "`index` goes from 3 to 10, but the loss was declared for 10 rows: write `Crd::over(…)` with the rows of the data"
        ]
    );
}

/// The losses that compare the examples of a batch, which needs more than two of them.
fn of_batches() -> Vec<Box<dyn Loss>> {
    vec![
        Box::new(RkdDistance::of_means()),
        Box::new(RkdDistance::of_first_positions()),
        Box::new(RkdAngle::of_means()),
        Box::new(Pkt::of_means()),
        Box::new(Sp),
        Box::new(Cka),
    ]
}

fn states() -> (Tensor, Tensor, Tensor) {
    let mask = Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1]).view([4, 3]);
    (seq(&[4, 3, 5], 0.9, 0.2, 1.0), seq(&[4, 3, 5], 0.45, 1.3, 1.5), mask)
}

fn masked(features: &Tensor, mask: &Tensor) -> Features {
    Features::one(features.shallow_clone()).with_mask(mask.shallow_clone())
}

#[test]
fn gradients_of_losses_on_batches_agree_with_finite_differences() {
    let (student, teacher, mask) = states();
    for loss in of_batches() {
        let error = finite_difference_error(&student, |moved| {
            loss.term(&masked(moved, &mask), &masked(&teacher, &mask)).unwrap().mean().unwrap()
        });
        assert!(error < 1e-6, "{} {}: {error}", loss.name(), loss.options());
        assert!(loss.reads_whole_batch(), "{}", loss.name());
    }
    let (student, teacher) = vectors();
    for loss in of_batches() {
        let error = finite_difference_error(&student, |moved| {
            let sides = (Features::one(moved.shallow_clone()), Features::one(teacher.shallow_clone()));
            loss.term(&sides.0, &sides.1).unwrap().mean().unwrap()
        });
        assert!(error < 1e-6, "{} of vectors: {error}", loss.name());
    }
}

#[test]
fn neither_padding_nor_the_order_of_a_batch_changes_losses_on_batches() {
    let (student, teacher, mask) = states();
    for loss in of_batches() {
        let found = value(&*loss, &masked(&student, &mask), &masked(&teacher, &mask));
        for filler in [7.5, f64::NAN, f64::NEG_INFINITY] {
            let spoilt = |features: &Tensor| {
                let padding = mask.eq(0).unsqueeze(-1);
                // The first positions all count.
                features.masked_fill(&padding, filler)
            };
            let other = value(&*loss, &masked(&spoilt(&student), &mask), &masked(&spoilt(&teacher), &mask));
            assert_close(other, found, &format!("{}, {filler} in the padding", loss.name()));
        }
        let turned = |tensor: &Tensor| tensor.flip([0]);
        let mask = turned(&mask);
        let other = value(&*loss, &masked(&turned(&student), &mask), &masked(&turned(&teacher), &mask));
        assert_close(other, found, &format!("{}, another order", loss.name()));
        let nothing = mask.zeros_like();
        let none = value(&*loss, &masked(&student, &nothing), &masked(&teacher, &nothing));
        if !loss.options().to_string().contains("first") {
            assert_eq!(none, 0.0, "{} of nothing", loss.name());
        }
    }
}

// CKA does not change with the size of a side: of float32 numbers near 1e12, or near 1e-12, whose fourth powers are
// no float32 numbers, it is what it is of numbers near 1.
#[test]
fn the_alignment_of_large_and_of_small_features_is_that_of_others() {
    let (student, teacher) = vectors();
    let (expected, ..) = measured(&Cka, &student, &teacher);
    for size in [1e12, 1e-12, 1e18, 1e-18] {
        for (of_student, of_teacher) in [(size, size), (size, 1.0), (1.0, size)] {
            let scaled = |side: &Tensor, by: f64| (side * by).to_kind(Kind::Float);
            let (value, _, norm) =
                measured(&Cka, &scaled(&student, of_student), &scaled(&teacher, of_teacher));
            assert!((value - expected).abs() < 1e-5, "{of_student:e}, {of_teacher:e}: {value}, {expected}");
            assert!(norm > 0.0 && norm.is_finite(), "{of_student:e}, {of_teacher:e}: a gradient of {norm}");
        }
    }
}
