//! Losses of models in bfloat16 and float16.
//!
//! TextBrewer counts masks in the features' precision: 65,504 is float16's largest number and 1,204
//! rounds to 1,200 in bfloat16, so that its loss turns 0 or wrong. Ours must be the float32 value.
//! The features are constant, so the expected values are sums done by hand.

use brew_core::loss::{
    AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Fsp, HiddenMse, KdCe, KdMse, Loss, Nst,
    Pkd,
};
use brew_core::tch::{Device, Kind, Tensor};

use tests::mask;

use crate::cases::{Case, cases, read, value};

const LOW: [Kind; 2] = [Kind::BFloat16, Kind::Half];

fn check(loss: &dyn Loss, layers: usize, size: &[i64], constants: (f64, f64), expected: f64) {
    let length = size[size.len() - 2];
    let mask = Tensor::ones([size[0], length], (Kind::Int64, Device::Cpu));
    for kind in LOW {
        let side = |constant: f64| -> Vec<Tensor> {
            (0..layers).map(|_| Tensor::full(size, constant, (kind, Device::Cpu))).collect()
        };
        let (student, teacher) = (side(constants.0), side(constants.1));
        for mask in [Some(&mask), None] {
            let found = value(loss, &read(&student, mask), &read(&teacher, mask));
            let what = format!("{} {} in {kind:?}, masked {}", loss.name(), loss.options(), mask.is_some());
            assert!((found - expected).abs() < 1e-5 * expected, "{what}: found {found}, expected {expected}");
        }
    }
}

#[test]
fn counts_of_logits_do_not_overflow() {
    let size = [4, 20_000, 2];
    check(&KdMse::at(1.0), 1, &size, (0.0, 1.0), 1.0);
    check(&KdCe::at(1.0), 1, &size, (0.0, 1.0), 2.0_f64.ln());
}

#[test]
fn counts_of_hidden_states_do_not_overflow() {
    check(&HiddenMse, 1, &[4, 20_000, 2], (0.0, 1.0), 1.0);
    let size = [4, 512, 768];
    check(&HiddenMse, 1, &size, (0.0, 1.0), 1.0);
    check(&Cos, 1, &size, (1.0, -1.0), 2.0);
    check(&Pkd, 1, &size, (1.0, -1.0), 4.0);
}

#[test]
fn gram_matrices_do_not_overflow() {
    let size = [2, 512, 768];
    // 512 products of 16 * 16 sum to 131,072, more than float16 holds.
    check(&Fsp, 2, &size, (0.0, 16.0), 65_536.0);
    check(&Nst, 2, &size, (0.0, 16.0), 65_536.0);
}

#[test]
fn counts_of_attention_maps_do_not_overflow() {
    let size = [8, 12, 128, 128];
    check(&AttentionMse::scores(), 1, &size, (0.0, 1.0), 1.0);
    check(&AttentionMseSum::scores(), 1, &size, (0.0, 1.0), 144.0);
    let uniform = 128.0_f64.ln();
    for loss in [&AttentionCe::scores() as &dyn Loss, &AttentionCeMean::textbrewer()] {
        check(loss, 1, &size, (0.0, 1.0), uniform);
    }
    check(&AttentionCe::probabilities(), 1, &size, (1.0 / 128.0, 1.0 / 128.0), uniform);
    check(&AttentionCeMean::probabilities(), 1, &size, (1.0 / 128.0, 1.0 / 128.0), uniform);
}

/// Value and gradients of the student's features, of tensors changed by this.
fn changed(case: &Case, change: &dyn Fn(&Tensor) -> Tensor) -> (f64, Vec<Tensor>) {
    let mask = change(&mask());
    let leaf = |tensor: &Tensor| change(tensor).detach().set_requires_grad(true);
    let leaves: Vec<Tensor> = case.student.iter().map(leaf).collect();
    let teacher: Vec<Tensor> = case.teacher.iter().map(change).collect();
    let mut student = case.student_read(&leaves, Some(&mask));
    let mut teacher = case.teacher_read(&teacher, Some(&mask));
    for tensor in student.also.values_mut().chain(teacher.also.values_mut()) {
        *tensor = change(tensor);
    }
    let mean = case.loss.term(&student, &teacher).unwrap().mean().unwrap();
    mean.backward();
    (mean.double_value(&[]), leaves.iter().map(|leaf| leaf.grad().to_kind(Kind::Double)).collect())
}

/// Models hand out views: slices of larger tensors, transposed maps.
#[test]
fn every_loss_is_the_same_however_its_tensors_lie_in_memory() {
    let turned = |tensor: &Tensor| tensor.transpose(0, -1).contiguous().transpose(0, -1);
    let sliced = |tensor: &Tensor| Tensor::stack(&[&tensor.full_like(7), tensor], -1).select(-1, 1);
    for case in cases() {
        let (expected, gradients) = changed(&case, &Tensor::copy);
        for change in [&turned as &dyn Fn(&Tensor) -> Tensor, &sliced] {
            let (found, of_found) = changed(&case, change);
            assert!((found - expected).abs() < 1e-12, "{}: {found}, {expected}", case.name);
            for (found, expected) in of_found.iter().zip(&gradients) {
                let off = (found - expected).abs().max().double_value(&[]);
                assert!(off < 1e-12, "{}: gradients differ by {off}", case.name);
            }
        }
    }
}

/// The smallest number of float16 above 0, about.
const SMALLEST: f64 = 6e-8;

/// Losses that make their logits themselves, in the model's dtype.
const IN_THE_MODELS_DTYPE: [&str; 2] = ["chunked", "chunked_with_labels"];

// The features are rounded first, so that only what the loss itself does can differ. Thirty times as large
// their squares and their sums are beyond float16.
#[test]
fn every_loss_on_large_features_of_low_precision_has_the_value_of_float32() {
    for kind in LOW {
        for scale in [1.0, 30.0] {
            let low = |tensor: &Tensor| match tensor.is_floating_point() {
                true => tensor.multiply_scalar(scale).to_kind(kind),
                false => tensor.copy(),
            };
            let wide = |tensor: &Tensor| match tensor.is_floating_point() {
                true => low(tensor).to_kind(Kind::Float),
                false => tensor.copy(),
            };
            for case in cases() {
                let learns = case.name.starts_with("vid");
                if learns || IN_THE_MODELS_DTYPE.contains(&case.loss.name()) {
                    continue;
                }
                let (expected, gradients) = changed(&case, &wide);
                let (found, of_found) = changed(&case, &low);
                let what = format!("{} in {kind:?} times {scale}", case.name);
                assert!(
                    (found - expected).abs() <= 1e-5 * expected.abs().max(1e-6),
                    "{what}: {found}, {expected}"
                );
                for (found, expected) in of_found.iter().zip(&gradients) {
                    let (off, largest) = ((found - expected).abs().max(), expected.abs().max());
                    let (off, largest) = (off.double_value(&[]), largest.double_value(&[]));
                    // Only the gradient itself is rounded, or too large for float16.
                    assert!(off <= largest / 200.0 + SMALLEST || largest > 6e4, "{what}: {off} of {largest}");
                }
            }
        }
    }
}
