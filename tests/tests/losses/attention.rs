//! Attention maps declared as probabilities or scores, against PyTorch 2.11's own distributions.
//!
//! The masked values come from maps cut by hand to the positions that count:
//!
//! ```python
//! import torch, torch.nn.functional as F
//! from torch.distributions import Categorical, kl_divergence
//! torch.set_default_dtype(torch.float64)
//! seq = lambda shape, a, b, c: (torch.arange(torch.Size(shape).numel()) * a + b).sin().mul(c).view(shape)
//! S, T = seq((2, 2, 3, 3), .5, .2, 1.5), seq((2, 2, 3, 3), .8, .3, 1.5)
//! cut = lambda x: [x[0, ..., :2, :2], x[1]]
//! ce = lambda s, t: kl_divergence(Categorical(t), Categorical(s)) + Categorical(t).entropy()
//! part = lambda s, t: -(t * s.log()).sum(-1)   # probabilities whose padded keys are cut off
//! mse = lambda s, t: (s - t) ** 2
//! mean = lambda f, S, T: torch.cat([f(s, t).flatten() for s, t in zip(S, T)]).mean().item()
//! soft = lambda x: x.softmax(-1)
//! for head in (lambda x: x, lambda x: x.sum(1, keepdim=True)):                       # mse, mse_sum
//!     print(F.mse_loss(head(S), head(T)).item())                                     # scores
//!     print(F.mse_loss(head(soft(S)), head(soft(T))).item())                         # probabilities
//!     print(mean(mse, cut(head(soft(S))), cut(head(soft(T)))))
//! for head in (lambda x: x, lambda x: x.mean(1, keepdim=True)):                      # ce, ce_mean
//!     print(ce(soft(head(S)), soft(head(T))).mean().item())                          # scores
//!     print(mean(ce, map(soft, cut(head(S))), map(soft, cut(head(T)))))
//!     print(ce(head(soft(S)), head(soft(T))).mean().item())                          # probabilities
//!     print(mean(part, cut(head(soft(S))), cut(head(soft(T)))))
//! ```

use brew_core::loss::{AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Features, Loss};
use brew_core::tch::{Kind, Tensor};
use tests::{finite_difference_error, golden, mask, seq};

use crate::cases::{assert_close, probabilities, read, scores, value};

#[test]
fn probabilities_and_scores_are_compared_as_pytorch_does() {
    let second = |name| golden(name)[1].as_f64().unwrap();
    let cases: [(&dyn Loss, _, f64, f64); 8] = [
        // With a mask TextBrewer clamps nothing, so that its own values are those of scores.
        (&AttentionMse::scores(), scores(), 2.481_453_627_502_802_7, second("attention_mse")),
        (&AttentionMseSum::scores(), scores(), 7.128_752_381_567_496, second("attention_mse_sum")),
        (&AttentionMse::probabilities(), probabilities(), 0.059_233_831_891_617_62, 0.047_075_178_147_092_82),
        (
            &AttentionMseSum::probabilities(),
            probabilities(),
            0.205_700_461_073_040_66,
            0.155_910_384_503_827_3,
        ),
        (&AttentionCe::scores(), scores(), 1.198_591_658_840_293_6, 0.979_093_357_701_537_3),
        (&AttentionCeMean::scores(), scores(), 1.190_575_282_919_473, 0.967_525_906_852_285_2),
        (&AttentionCe::probabilities(), probabilities(), 1.198_591_658_840_293_6, 1.082_144_290_745_023_2),
        (&AttentionCeMean::probabilities(), probabilities(), 1.177_101_165_019_512_5, 1.054_677_402_174_357),
    ];
    for (loss, (student, teacher), unmasked, masked) in cases {
        let what = format!("{} {}", loss.name(), loss.options());
        assert_close(value(loss, &read(&student, None), &read(&teacher, None)), unmasked, &what);
        let mask = mask();
        assert_close(
            value(loss, &read(&student, Some(&mask)), &read(&teacher, Some(&mask))),
            masked,
            &format!("{what}, masked"),
        );
    }
}

#[test]
fn maps_of_three_dimensions_are_those_of_one_head() {
    let (student, teacher) = probabilities();
    let one_head = |maps: &[Tensor]| maps[0].narrow(1, 0, 1);
    let losses: [&dyn Loss; 4] = [
        &AttentionMse::probabilities(),
        &AttentionMseSum::probabilities(),
        &AttentionCe::probabilities(),
        &AttentionCeMean::probabilities(),
    ];
    for loss in losses {
        for mask in [None, Some(mask())] {
            let at = |student: Tensor, teacher: Tensor| {
                let (student, teacher) = (read(&[student], mask.as_ref()), read(&[teacher], mask.as_ref()));
                assert_eq!(loss.mismatches(&student, &teacher), [""; 0]);
                value(loss, &student, &teacher)
            };
            let four = at(one_head(&student), one_head(&teacher));
            assert_close(
                at(one_head(&student).squeeze_dim(1), one_head(&teacher).squeeze_dim(1)),
                four,
                loss.name(),
            );
        }
    }
}

#[test]
fn sums_and_means_over_heads_take_other_numbers_of_heads() {
    let (student, teacher) = (probabilities().0, seq(&[2, 4, 3, 3], 0.8, 0.3, 1.5).softmax(-1, Kind::Double));
    let (student, teacher) = (read(&student, None), Features::one(teacher));
    for loss in [&AttentionMseSum::probabilities() as &dyn Loss, &AttentionCeMean::probabilities()] {
        assert_eq!(loss.mismatches(&student, &teacher), [""; 0]);
        let summed = |read: &Features| {
            Features::one(match loss.name() {
                "attention_mse_sum" => read.tensors[0].sum_dim_intlist(1, false, Kind::Double),
                _ => read.tensors[0].mean_dim(1, false, Kind::Double),
            })
        };
        assert_close(
            value(loss, &student, &teacher),
            value(loss, &summed(&student), &summed(&teacher)),
            loss.name(),
        );
    }
}

// TextBrewer 2c105fa takes scores of -5 against scores of -1 for padding: loss 0.
#[test]
fn only_textbrewers_form_takes_negative_scores_for_padding() {
    let map = |score: f64| Features::one(Tensor::from_slice(&[score; 4]).view([1, 1, 2, 2]));
    let at = |loss: AttentionMse| value(&loss, &map(-5.0), &map(-1.0));
    assert_eq!((at(AttentionMse::textbrewer()), at(AttentionMse::scores())), (0.0, 16.0));
    let at = |loss: AttentionCe| value(&loss, &map(-5.0), &map(-1.0));
    assert_eq!(at(AttentionCe::textbrewer()), 0.0);
    assert_close(at(AttentionCe::scores()), 2.0_f64.ln(), "uniform attention over two keys");
}

#[test]
fn scores_of_minus_10000_in_the_padding_make_textbrewers_form_and_ours_equal() {
    let mask = mask();
    let additive = (Tensor::from(1.0) - mask.to_kind(Kind::Double)).view([2, 1, 1, 3]) * -10_000.0;
    let (student, teacher) = scores();
    let with_padding = |maps: &[Tensor]| read(&[&maps[0] + &additive], Some(&mask));
    let (student, teacher) = (with_padding(&student), with_padding(&teacher));
    let pairs: [(&dyn Loss, &dyn Loss); 2] = [
        (&AttentionCe::scores(), &AttentionCe::textbrewer()),
        (&AttentionCeMean::scores(), &AttentionCeMean::textbrewer()),
    ];
    for (ours, textbrewers) in pairs {
        assert_close(value(ours, &student, &teacher), value(textbrewers, &student, &teacher), ours.name());
    }
}

#[test]
fn a_key_that_the_student_dropped_has_a_finite_loss_and_gradient() {
    let student = Tensor::from_slice(&[1.0, 0.0, 0.5, 0.5]).view([1, 1, 2, 2]).set_requires_grad(true);
    let teacher = Features::one(Tensor::from_slice(&[0.5, 0.5, 0.5, 0.5]).view([1, 1, 2, 2]));
    let term = AttentionCe::probabilities().term(&Features::one(student.shallow_clone()), &teacher).unwrap();
    let loss = term.mean().unwrap();
    // Half of -ln of float32's smallest normal number, 2^-126, in the first of two queries; ln 2 in
    // the second.
    assert_close(loss.double_value(&[]), (63.0 * 2.0_f64.ln() + 2.0_f64.ln()) / 2.0, "loss");
    loss.backward();
    assert_eq!(student.grad().isfinite().all().int64_value(&[]), 1);
}

// A model that leaves scores at minus infinity, and NaN in the rows of padded queries.
#[test]
fn textbrewers_form_survives_what_models_leave_in_the_padding() {
    let mask = mask();
    let (student, teacher) = scores();
    let spoil = |maps: &[Tensor], key: f64| {
        let map = maps[0].copy();
        let _ = map.narrow(0, 0, 1).narrow(3, 2, 1).fill_(key);
        let _ = map.narrow(0, 0, 1).narrow(2, 2, 1).fill_(f64::NAN);
        map
    };
    let loss = AttentionCe::textbrewer();
    let at = |key: f64| {
        let student = spoil(&student, key).set_requires_grad(true);
        let teacher = read(&[spoil(&teacher, key)], Some(&mask));
        let value =
            loss.term(&read(&[student.shallow_clone()], Some(&mask)), &teacher).unwrap().mean().unwrap();
        value.backward();
        (value.double_value(&[]), student.grad().isfinite().all().int64_value(&[]))
    };
    let (expected, _) = at(-10_000.0);
    let (found, finite) = at(f64::NEG_INFINITY);
    assert_close(found, expected, "loss");
    assert_eq!(finite, 1, "a gradient is not finite");
    let error = finite_difference_error(&student[0], |student| {
        loss.term(&read(&[student.shallow_clone()], Some(&mask)), &read(&teacher, Some(&mask)))
            .unwrap()
            .mean()
            .unwrap()
    });
    assert!(error < 1e-7, "{error}");
}
