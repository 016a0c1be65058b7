//! Each policy against PyTorch, with a probability shift and with masks.
//!
//! The script (PyTorch 2.11, float64):
//!
//! ```python
//! def seq(shape, a, b, c): return (c * torch.sin(a * torch.arange(torch.Size(shape).numel()) + b)).view(shape)
//! K, T = 3, 4.0
//! s = seq((2, 5), .7, .1, 2); t = torch.stack([seq((2, 5), .9 + .2 * k, .4, 3) for k in range(K)])
//! y = torch.tensor([2, 0]); route = torch.tensor([2, 0])
//! ce = lambda p: -(p * (s / T).log_softmax(-1)).sum(-1).mean()
//! p = (t / T).softmax(-1)
//! mean_of_logits = ce((t.mean(0) / T).softmax(-1)); mean_of_probabilities = ce(p.mean(0))
//! w = torch.tensor([1., 2., 5.]) / 8; weighted = ce(((w.view(K, 1, 1) * t).sum(0) / T).softmax(-1))
//! c = -t.log_softmax(-1).gather(-1, y.view(1, 2, 1).expand(K, 2, 1)).squeeze(-1)
//! w = (1 - c.exp() / c.exp().sum(0)) / (K - 1); by_confidence = ce((w.unsqueeze(-1) * p).sum(0))
//! h = -(t.softmax(-1) * t.log_softmax(-1)).sum(-1); w = (1 / h) / (1 / h).sum(0)
//! by_entropy = ce((w.unsqueeze(-1) * p).sum(0))
//! routed = ce((t[route, torch.arange(2)] / T).softmax(-1))
//! def shifted(x):  # of probabilities or logits
//!     x = x.clone()
//!     for i in range(2):
//!         j = x[i].argmax(); x[i, j], x[i, y[i]] = x[i, y[i]].item(), x[i, j].item()
//!     return x
//! # of tokens: s, t of (2, 3, 5); y = [[2, 0, -100], [4, -100, 1]]; m = [[1, 1, 0], [1, 1, 1]]
//! c = -t.log_softmax(-1).gather(-1, y.clamp(0).view(1, 2, 3, 1).expand(K, 2, 3, 1)).squeeze(-1)
//! w = torch.where(y < 0, 1 / K, (1 - c.softmax(0)) / (K - 1)); q = (w.unsqueeze(-1) * p).sum(0)
//! each = -(q * (s / T).log_softmax(-1)).sum(-1); by_confidence = (each * m).sum() / m.sum()
//! each = -((t[route, torch.arange(2)] / T).softmax(-1) * (s / T).log_softmax(-1)).sum(-1)
//! routed = (each * m).sum() / m.sum()
//! ```

use brew_core::loss::{KdCe, KdMse};
use brew_core::plan::{Combine, Plan};
use brew_core::prelude::*;
use brew_core::schedule::Cwsm;
use tests::mask;

use crate::{OtherMaskView, Rows, Speaker, View, loss_of, speakers};

fn examples() -> Rows {
    let (labels, teacher) = (Tensor::from_slice(&[2_i64, 0]), Tensor::from_slice(&[2_i64, 0]));
    Rows { labels, teacher, mask: mask() }
}

fn tokens() -> Rows {
    let labels = Tensor::from_slice(&[2_i64, 0, -100, 4, -100, 1]).view([2, 3]);
    Rows { labels, ..examples() }
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
}

fn kd() -> brew_core::loss::KdCe {
    KdCe::at(4.0)
}

#[test]
fn every_policy_equals_pytorch() {
    let expected = [
        (Combine::MeanOfLogits, 1.6321656796321538),
        (Combine::MeanOfProbabilities, 1.6299726853404357),
        (Combine::weighted([1.0, 2.0, 5.0]), 1.64179498308896),
        (Combine::ByConfidence, 1.6403132721983846),
        (Combine::ByEntropy, 1.632517496811231),
        (Combine::RoutedByExample, 1.6064512911989968),
    ];
    for (policy, expected) in expected {
        let (teachers, student) = speakers(&[2, 5]);
        let found = loss_of(teachers, student, kd().combining(policy.clone()), &examples()).unwrap();
        assert!((found - expected).abs() < 1e-12, "{policy}: found {found}, expected {expected}");
    }
}

#[test]
fn a_probability_shift_puts_right_what_was_combined() {
    let expected = [
        (Combine::MeanOfLogits, 1.6115548944452718),
        (Combine::MeanOfProbabilities, 1.6123241214812696),
        (Combine::RoutedByExample, 1.5875361932655192),
    ];
    for (policy, expected) in expected {
        let (teachers, student) = speakers(&[2, 5]);
        let loss = kd().combining(policy.clone()).with_probability_shift();
        assert_close(loss_of(teachers, student, loss, &examples()).unwrap(), expected);
    }
    // The weights are those of the teachers as they are, and labels alone shift nothing.
    let (teachers, student) = speakers(&[2, 5]);
    let loss = kd().combining(Combine::ByConfidence).with_probability_shift();
    let shifted = loss_of(teachers, student, loss, &examples()).unwrap();
    let (teachers, student) = speakers(&[2, 5]);
    let loss = kd().with_probability_shift().combining(Combine::ByConfidence);
    assert_close(shifted, loss_of(teachers, student, loss, &examples()).unwrap());
    assert!((shifted - 1.6403132721983846).abs() > 1e-3, "{shifted}");
}

#[test]
fn masked_tokens_do_not_count_and_tokens_without_a_label_weigh_teachers_equally() {
    for (policy, expected) in
        [(Combine::ByConfidence, 1.6657008647642448), (Combine::RoutedByExample, 1.6600580901219442)]
    {
        let (teachers, student) = speakers(&[2, 3, 5]);
        assert_close(loss_of(teachers, student, kd().combining(policy), &tokens()).unwrap(), expected);
    }
}

#[test]
fn teachers_that_agree_are_one_teacher_under_every_policy() {
    let policies = [
        Combine::MeanOfLogits,
        Combine::MeanOfProbabilities,
        Combine::weighted([1.0, 3.0, 0.0]),
        Combine::ByConfidence,
        Combine::ByEntropy,
        Combine::RoutedByExample,
    ];
    // The squared distance sees the logits' height, which a softmax does not.
    let alone = {
        let (mut teachers, student) = speakers(&[2, 5]);
        teachers.truncate(1);
        loss_of(teachers, student, KdMse::at(3.0), &examples()).unwrap()
    };
    for policy in policies {
        let (_, student) = speakers(&[2, 5]);
        let teachers = (0..3).map(|_| speakers(&[2, 5]).0.remove(0)).collect();
        let found = loss_of(teachers, student, KdMse::at(3.0).combining(policy), &examples()).unwrap();
        assert_close(found, alone);
    }
}

#[test]
fn a_teacher_that_excludes_a_class_poisons_nobody() {
    for policy in [Combine::MeanOfProbabilities, Combine::ByConfidence, Combine::ByEntropy] {
        let (_, student) = speakers(&[2, 5]);
        let excluding = || {
            let logits = brew_core::tch::Tensor::zeros([2, 5], (Kind::Double, Device::Cpu));
            let _ = logits.select(1, 0).fill_(f64::NEG_INFINITY);
            Speaker(logits).seen_by(View)
        };
        let teachers = vec![excluding(), excluding(), speakers(&[2, 5]).0.remove(0)];
        let found = loss_of(teachers, student, kd().combining(policy), &examples()).unwrap();
        assert!(found.is_finite(), "{found}");
    }
}

#[test]
fn the_plan_says_how_teachers_are_combined_and_is_read_again() {
    let (teachers, student) = speakers(&[2, 5]);
    let loss = kd().combining(Combine::weighted([1.0, 2.0, 5.0])).with_probability_shift().weight(0.5);
    let pipeline = Distill::new(teachers, student).soft_targets(loss).plan().unwrap();
    let text = pipeline.explain();
    assert!(
        text.contains("teachers by weighted [1.0, 2.0, 5.0]") && text.contains("probability shift"),
        "{text}"
    );
    let json = serde_json::to_value(pipeline.plan()).unwrap();
    assert!(json.to_string().contains(r#""combine":{"weighted":[1.0,2.0,5.0]}"#), "{json}");
    assert_eq!(&serde_json::from_value::<Plan>(json).unwrap(), pipeline.plan());
}

#[test]
fn what_a_policy_cannot_do_is_said_before_anything_runs() {
    let refusal = |loss: brew_core::distill::Combined<brew_core::loss::KdCe>| {
        let (teachers, student) = speakers(&[2, 5]);
        Distill::new(teachers, student).soft_targets(loss).plan().unwrap_err().to_string()
    };
    assert_eq!(
        refusal(kd().combining(Combine::weighted([1.0, -2.0]))),
        "the pipeline cannot run, 2 problems:\n  \
         1. stage `kd_ce`: 2 weights for 3 teachers: give one number per teacher, in their order\n  \
         2. stage `kd_ce`: the teachers' weights are [1.0, -2.0]; they must be finite and not negative, and at least one above 0"
    );
    assert!(refusal(kd().combining(Combine::weighted([0.0; 3]))).contains("at least one above 0"));
    let text = refusal(kd().scheduled(Cwsm::new(0.1)).combining(Combine::ByEntropy));
    assert!(text.contains("`by_entropy` averages probabilities at one temperature"), "{text}");

    // A student whose adaptor does not give what the policy reads.
    let student = Speaker(tests::seq(&[2, 5], 0.7, 0.1, 2.0).set_requires_grad(true)).seen_by(OtherMaskView);
    let loss = kd().combining(Combine::RoutedByExample);
    let error = Distill::new(speakers(&[2, 5]).0, student).soft_targets(loss).plan().unwrap_err();
    let text = "stage `kd_ce` reads `teacher_index`, which `student adaptor` does not provide";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_row_routed_to_nobody_and_teachers_of_other_shapes_and_masks_are_named() {
    let (teachers, student) = speakers(&[2, 5]);
    let rows = Rows { teacher: Tensor::from_slice(&[0_i64, 3]), ..examples() };
    let error = loss_of(teachers, student, kd().combining(Combine::RoutedByExample), &rows).unwrap_err();
    let text = "`teacher_index` of row 1 of the batch is 3, but there are 3 teachers, counted from 0";
    assert!(error.to_string().contains(text), "{error}");

    let (mut teachers, student) = speakers(&[2, 5]);
    teachers[2] = speakers(&[2, 4]).0.remove(0);
    let error = loss_of(teachers, student, kd(), &examples()).unwrap_err();
    assert!(error.to_string().contains("those of teacher 2 are (2, 4)"), "{error}");

    let (teachers, student) = speakers(&[2, 3, 5]);
    let other = Speaker(tests::seq(&[2, 3, 5], 0.9, 0.4, 3.0)).seen_by(OtherMaskView);
    let pipeline = Distill::new(teachers.and(other), student).soft_targets(kd()).plan().unwrap();
    let executor = brew_core::execute::Executor::new(&pipeline, 0).unwrap();
    let error = executor.probe(&tokens()).unwrap_err();
    assert!(
        error.to_string().contains("teacher 3 of 4: the masks of teacher and student differ from row 0"),
        "{error}"
    );
}
