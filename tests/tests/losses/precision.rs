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

use crate::cases::{read, value};

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
