//! Compares all forms of attention with the formula computed step by step.

use tch::{Device, Kind, Tensor};

use super::super::attended::Attended;
use super::three_parts;
use crate::model::parts::tests::drawn_twice;
use crate::native::ffi;

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Batch, length, heads and head size: below, at and above the length of a SIMD vector.
const SHAPES: [[i64; 4]; 6] =
    [[1, 1, 1, 1], [2, 5, 3, 7], [3, 16, 2, 16], [2, 27, 12, 32], [2, 70, 2, 64], [1, 33, 1, 40]];

/// The formula step by step in float64; `left` is the factor of dropout on the map.
fn step_by_step(joined: &Tensor, mask: &Tensor, heads: i64, left: Option<&Tensor>) -> Tensor {
    let parts: Vec<Tensor> = joined
        .to_kind(Kind::Double)
        .chunk(3, -1)
        .iter()
        .map(|part| part.unflatten(2, [heads, -1]).transpose(1, 2))
        .collect();
    let size = parts[0].size()[3] as f64;
    let scores = parts[0].matmul(&parts[1].transpose(2, 3)) / size.sqrt() + mask.to_kind(Kind::Double);
    let map = scores.softmax(-1, None);
    let map = left.map_or(map.shallow_clone(), |left| map * left);
    map.matmul(&parts[2]).transpose(1, 2).flatten(2, 3)
}

/// Queries, keys and values, and a mask with shorter and shorter rows.
fn given([batch, length, heads, size]: [i64; 4]) -> (Tensor, Tensor) {
    let joined = Tensor::randn([batch, length, 3 * heads * size], CPU).set_requires_grad(true);
    let ends = Tensor::from_slice(&(0..batch).map(|row| length - row * length / batch).collect::<Vec<_>>());
    let attended =
        Tensor::arange(length, (Kind::Int64, Device::Cpu)).unsqueeze(0).lt_tensor(&ends.unsqueeze(1));
    let mask = Attended::by(&attended, &joined).unwrap().scores;
    (joined, mask)
}

fn close(ours: &Tensor, theirs: &Tensor, what: &str) {
    let difference = (ours.to_kind(Kind::Double) - theirs).abs().max().double_value(&[]);
    let largest = theirs.abs().max().double_value(&[]);
    assert!(difference <= 3e-6 * (1.0 + largest), "{what}: {difference} of {largest}");
}

/// Values and gradients of both forms.
fn compare(shape: [i64; 4], ours: &Tensor, joined: &Tensor, theirs: &Tensor) {
    close(ours, theirs, &format!("contexts of {shape:?}"));
    let weights = Tensor::randn(ours.size(), CPU);
    let gradient = |of: &Tensor| {
        let sum = (of * weights.to_kind(of.kind())).sum(of.kind());
        Tensor::run_backward(&[sum], &[joined], false, false)[0].to_kind(Kind::Double)
    };
    close(&gradient(ours), &gradient(theirs), &format!("gradients of {shape:?}"));
}

// Against libtorch's own operations in float64, with their gradients by autograd.
#[test]
fn the_fused_form_is_the_formula_with_its_gradients() {
    let _turn = crate::native::generator_alone();
    tch::manual_seed(1);
    for shape in SHAPES {
        let (joined, mask) = given(shape);
        let ours = ffi::attention(&joined, &mask, shape[2], 0.0).unwrap();
        compare(shape, &ours, &joined, &step_by_step(&joined, &mask, shape[2], None));
    }
}

#[test]
fn a_row_of_padding_alone_attends_to_all_positions_alike() {
    let _turn = crate::native::generator_alone();
    let joined = Tensor::randn([2, 9, 3 * 24], CPU);
    let nothing = Tensor::zeros([2, 9], (Kind::Int64, Device::Cpu));
    let mask = Attended::by(&nothing, &joined).unwrap().scores;
    let contexts = ffi::attention(&joined, &mask, 3, 0.0).unwrap();
    let means =
        joined.narrow(2, 48, 24).to_kind(Kind::Double).mean_dim(1, true, None).expand([2, 9, 24], false);
    close(&contexts, &means, "means");
}

// The softmax of a single score is 1 whatever the score.
#[test]
fn queries_and_keys_that_attend_to_one_position_have_the_gradient_0_to_the_last_bit() {
    let _turn = crate::native::generator_alone();
    for (length, dropout) in [(1, 0.0), (1, 0.5), (5, 0.0), (21, 0.25)] {
        let joined = Tensor::randn([3, length, 3 * 24], CPU).set_requires_grad(true);
        let first = Tensor::arange(length, (Kind::Int64, Device::Cpu)).eq(0).to_kind(Kind::Int64);
        let attended = Attended::by(&first.unsqueeze(0).expand([3, length], false), &joined).unwrap();
        let gradient = |context: Tensor| {
            let weighed = (&context * Tensor::randn(context.size(), CPU)).sum(Kind::Float);
            let gradient = Tensor::run_backward(&[weighed], &[&joined], false, false).remove(0);
            assert!(gradient.narrow(2, 48, 24).abs().max().double_value(&[]) > 0.0);
            gradient.narrow(2, 0, 48).abs().max().double_value(&[])
        };
        let ours = ffi::attention(&joined, &attended.scores, 3, dropout).unwrap();
        assert_eq!(gradient(ours), 0.0, "our kernel, length {length}, dropout {dropout}");
        let kept = attended.without_the_alone(&joined).unwrap();
        let split = |part: &Tensor| part.unflatten(2, [3, 8]).transpose(1, 2);
        let [query, key, value] = three_parts(&kept).unwrap().each_ref().map(split);
        let fused = Tensor::scaled_dot_product_attention(
            &query,
            &key,
            &value,
            Some(&attended.scores),
            0.0,
            false,
            None,
            false,
        );
        assert_eq!(gradient(fused), 0.0, "libtorch's kernel, length {length}");
        let parts = three_parts(&joined).unwrap();
        let [query, key, value] = parts.each_ref().map(split);
        let map = (query.matmul(&key.transpose(2, 3)) / 8_f64.sqrt() + &attended.scores).softmax(-1, None);
        assert_eq!(gradient(map.matmul(&value)), 0.0, "step by step, length {length}");
    }
}

#[test]
fn a_row_with_several_positions_keeps_its_gradients() {
    let _turn = crate::native::generator_alone();
    let joined = Tensor::randn([2, 4, 3 * 8], CPU).set_requires_grad(true);
    let mask = Tensor::from_slice(&[1_i64, 0, 0, 0, 1, 1, 0, 0]).view([2, 4]);
    let kept = Attended::by(&mask, &joined).unwrap().without_the_alone(&joined).unwrap();
    assert_eq!(kept, joined);
    kept.sum(Kind::Float).backward();
    let rows: Vec<f64> = Vec::try_from(joined.grad().narrow(2, 0, 16).sum_dim_intlist(
        [1_i64, 2].as_slice(),
        false,
        Kind::Double,
    ))
    .unwrap();
    assert_eq!(rows, [0.0, 64.0]);
}

// libtorch's softmax makes the whole row NaN, wherever the NaN is; so does infinity minus infinity.
#[test]
fn a_score_that_is_no_number_makes_its_whole_row_none() {
    let _turn = crate::native::generator_alone();
    for place in [0, 1, 15, 16, 20] {
        for bad in [f64::NAN, f64::INFINITY] {
            let joined = Tensor::randn([1, 21, 3 * 8], CPU);
            let _ = joined.get(0).get(place).get(8).fill_(bad);
            let mask = Tensor::zeros([1, 1, 1, 21], CPU);
            let contexts = ffi::attention(&joined, &mask, 1, 0.0).unwrap();
            let theirs = step_by_step(&joined, &mask, 1, None).to_kind(Kind::Float);
            assert_eq!(contexts.isnan(), theirs.isnan(), "{bad} in key {place}");
        }
    }
}

// With the identity matrix as values the context is the map itself, after dropout, which reveals the dropout
// mask.
#[test]
fn dropout_takes_part_of_the_map_away_and_gradients_know_which() {
    let _turn = crate::native::generator_alone();
    for shape @ [batch, length, heads, size] in SHAPES.into_iter().filter(|shape| shape[1] <= shape[3]) {
        tch::manual_seed(2);
        let (joined, mask) = given(shape);
        let unit = Tensor::eye_m(length, size, CPU).repeat([batch, 1, heads]);
        let parts = joined.detach().chunk(3, -1);
        let seen = Tensor::cat(&[&parts[0], &parts[1], &unit], -1);
        let fused = |joined: &Tensor| {
            tch::manual_seed(3);
            ffi::attention(joined, &mask, heads, 0.25).unwrap()
        };
        let contexts = |all: &Tensor| all.unflatten(2, [heads, size]).transpose(1, 2).narrow(3, 0, length);
        let whole = contexts(&step_by_step(&seen, &mask, heads, None));
        let left = contexts(&fused(&seen)).to_kind(Kind::Double) / whole.clamp_min(1e-30);
        let kept = left.ne(0.0).to_kind(Kind::Double);
        // Masked positions are 0 with and without dropout, and tell nothing.
        let attended = whole.gt(1e-20).to_kind(Kind::Double);
        let expected: Tensor = &kept * &attended / 0.75;
        close(&(&left * &attended), &expected, "what is kept is scaled up");
        if shape == [2, 27, 12, 32] {
            let count = attended.sum(Kind::Double).double_value(&[]);
            let share = (&kept * &attended).sum(Kind::Double).double_value(&[]) / count;
            // Five standard deviations of a binomial proportion.
            assert!((share - 0.75).abs() < 5.0 * (0.1875 / count).sqrt(), "kept {share} of {count}");
        }
        compare(shape, &fused(&joined), &joined, &step_by_step(&joined, &mask, heads, Some(&expected)));
    }
}

#[test]
fn what_is_dropped_follows_from_the_seed_whatever_the_threads() {
    let _turn = crate::native::generator_alone();
    let (joined, mask) = given([4, 27, 3, 32]);
    let (first, second) = drawn_twice(|| ffi::attention(&joined, &mask, 3, 0.25).unwrap().detach());
    assert_ne!(first, second);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let _turn = crate::native::generator_alone();
    let (joined, mask) = given([2, 5, 3, 7]);
    let double = joined.to_kind(Kind::Double);
    for (refused, told) in [
        (ffi::attention(&joined, &mask, 2, 0.1), "queries, keys and values of 2 heads are [2, 5, 63]"),
        (ffi::attention(&joined, &mask.narrow(3, 0, 4), 3, 0.1), "one number for each of 2 x 5 positions"),
        (ffi::attention(&double, &mask, 3, 0.1), "float32 on the CPU, and it is given Double on cpu"),
        (ffi::attention(&joined, &mask, 3, 1.0), "it must lie in [0, 1)"),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
