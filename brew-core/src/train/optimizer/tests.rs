//! Three steps of each optimizer against PyTorch, in float64; and states that are saved and resumed from.

use tch::Tensor;

use super::super::clip::clip;
use super::*;
use crate::parameters::Parameters;
use crate::semantics::Semantics;

struct Problem {
    weight: Tensor,
    bias: Tensor,
    groups: Groups,
}

fn problem(optimizer: impl Optimizer, semantics: Semantics) -> Problem {
    let weight = Tensor::from_slice(&[1.0, -2.0, 0.5, 3.0]).view([2, 2]).set_requires_grad(true);
    let bias = Tensor::from_slice(&[0.1, -0.2]).set_requires_grad(true);
    let named = [("w".to_owned(), weight.shallow_clone()), ("b".to_owned(), bias.shallow_clone())];
    let mut groups = Groups::new(Box::new(optimizer), semantics);
    groups.add(&OptimizerChanges::default(), &Parameters::new(named), &|_| 1.0).unwrap();
    Problem { weight, bias, groups }
}

impl Problem {
    fn steps(&mut self, steps: std::ops::Range<i32>, norm: Option<f64>) -> Vec<f64> {
        let input = Tensor::from_slice(&[1.0, 2.0, 3.0, -1.0]).view([2, 2]);
        for step in steps {
            self.groups.clear_gradients().unwrap();
            let output = input.matmul(&self.weight.tr()) + &self.bias;
            output.square().mean(tch::Kind::Double).backward();
            if let Some(norm) = norm {
                clip(&self.groups.gradients().unwrap(), norm).unwrap();
            }
            self.groups.step(1.0 - f64::from(step) / 3.0).unwrap();
        }
        let both = Tensor::cat(&[self.weight.detach().view([-1]), self.bias.detach()], 0);
        Vec::<f64>::try_from(both).unwrap()
    }
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }
}

// The script (PyTorch 2.11, float64), with `make` as each test says:
//
//   w = Parameter([[1, -2], [.5, 3]]); b = Parameter([.1, -.2])
//   o = make([w, b]); lr = o.param_groups[0]["lr"]; x = tensor([[1, 2], [3, -1]])
//   for s in range(3):
//       o.zero_grad(); ((x @ w.T + b) ** 2).mean().backward()
//       for g in o.param_groups: g["lr"] = lr * (1 - s / 3)
//       o.step()

// torch.optim.AdamW(p, lr=.1, weight_decay=.01), with torch.nn.utils.clip_grad_norm_(p, 1.0) before each step
#[test]
fn decay_on_everything_equals_pytorchs_adamw_with_clipping() {
    let mut problem = problem(AdamW::with_lr(0.1), Semantics::TextBrewer);
    let expected = [
        0.7983931710402676,
        -1.7960402147530452,
        0.3579197715370632,
        2.7940127605077696,
        -0.09873534737646414,
        -0.39903106094354307,
    ];
    assert_close(&problem.steps(0..3, Some(1.0)), &expected);
}

// the same with weight_decay=0 for b
#[test]
fn exact_semantics_spare_the_bias() {
    let mut problem = problem(AdamW::with_lr(0.1), Semantics::Exact);
    let expected = [
        0.7983929820607305,
        -1.7960402241998712,
        0.35799048430156044,
        2.7940127930108085,
        -0.09865851562493518,
        -0.3995522723416938,
    ];
    assert_close(&problem.steps(0..3, Some(1.0)), &expected);
}

// torch.optim.Adam(p, lr=.1, weight_decay=.01)
#[test]
fn adam_is_pytorchs() {
    let mut problem = problem(Adam::with_lr(0.1).weight_decay(0.01), Semantics::TextBrewer);
    let expected = [
        0.8007611355547627,
        -1.8002097642991381,
        0.3561974953532126,
        2.800154612562965,
        -0.0978582546829363,
        -0.3989815349672093,
    ];
    assert_close(&problem.steps(0..3, None), &expected);
}

// torch.optim.SGD(p, lr=.1, momentum=.9, nesterov=True, weight_decay=.01), and without momentum
#[test]
fn sgd_is_pytorchs_with_momentum_and_without() {
    let optimizer = Sgd::with_lr(0.1).momentum(0.9).nesterov().weight_decay(0.01);
    let expected = [
        -0.43553491374422226,
        -0.12158904657044448,
        0.38087738365566665,
        0.434844693026222,
        0.02028228818757781,
        -0.9777905182418223,
    ];
    assert_close(&problem(optimizer, Semantics::TextBrewer).steps(0..3, None), &expected);
    let optimizer = Sgd::with_lr(0.1).weight_decay(0.01);
    let expected = [
        0.1518574197777778,
        -1.0931403584444443,
        0.4227787376666667,
        1.7837455782222222,
        -0.0048723400222222095,
        -0.5780547866222223,
    ];
    assert_close(&problem(optimizer, Semantics::TextBrewer).steps(0..3, None), &expected);
}

// torch.optim.Adafactor(p, lr=.1, weight_decay=.01)
#[test]
fn adafactor_is_pytorchs() {
    let mut problem = problem(Adafactor::with_lr(0.1).weight_decay(0.01), Semantics::TextBrewer);
    let expected = [
        0.550948193444489,
        -1.712685867711416,
        0.446439402169181,
        2.574690005387023,
        0.07247627219531191,
        -0.23120671481735677,
    ];
    assert_close(&problem.steps(0..3, None), &expected);
}

// The paper's program 1 as a torch.optim.Optimizer of a few lines, lr=.1, betas=(.9, .99), weight decay .01:
//   p.mul_(1 - lr * wd); p.add_(torch.sign(b1 * m + (1 - b1) * g), alpha=-lr); m.mul_(b2).add_(g, alpha=1 - b2)
#[test]
fn lion_is_the_papers_program() {
    let mut problem = problem(Lion::with_lr(0.1).weight_decay(0.01), Semantics::TextBrewer);
    let expected = [
        0.798123422,
        -1.7961246439999998,
        0.36578947766666664,
        2.794125866,
        -0.10007767780000001,
        -0.3994780444,
    ];
    assert_close(&problem.steps(0..3, None), &expected);
}

fn goes_on_as_if_it_had_not_stopped(make: impl Fn() -> Box<dyn Optimizer>) {
    let build = || {
        let mut made = problem(Sgd::with_lr(0.0), Semantics::Exact);
        let named =
            [("w".to_owned(), made.weight.shallow_clone()), ("b".to_owned(), made.bias.shallow_clone())];
        made.groups = Groups::new(make(), Semantics::Exact);
        made.groups.add(&OptimizerChanges::default(), &Parameters::new(named), &|_| 1.0).unwrap();
        made
    };
    let whole = build().steps(0..3, None);
    let mut first = build();
    first.steps(0..2, None);
    let state = first.groups.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
    let mut second = build();
    tch::no_grad(|| second.weight.copy_(&first.weight));
    tch::no_grad(|| second.bias.copy_(&first.bias));
    second.groups.restore(&state, first.groups.steps_done()).unwrap();
    assert_eq!(second.steps(2..3, None), whole, "{}", make().name());
}

#[test]
fn every_optimizer_goes_on_from_its_state_to_the_last_bit() {
    goes_on_as_if_it_had_not_stopped(|| Box::new(AdamW::with_lr(0.1)));
    goes_on_as_if_it_had_not_stopped(|| Box::new(Adam::with_lr(0.1)));
    goes_on_as_if_it_had_not_stopped(|| Box::new(Sgd::with_lr(0.1).momentum(0.9)));
    goes_on_as_if_it_had_not_stopped(|| Box::new(Lion::with_lr(0.1)));
    goes_on_as_if_it_had_not_stopped(|| Box::new(Adafactor::with_lr(0.1)));
}

#[test]
fn a_state_of_something_else_is_refused_with_all_that_differs() {
    let mut problem = problem(AdamW::with_lr(0.1), Semantics::Exact);
    let mut state = problem.groups.state();
    state.insert("w/third_moment".to_owned(), Tensor::from(1.0));
    state.insert("w/first_moment".to_owned(), Tensor::from(1.0));
    state.remove("b/second_moment");
    let error = problem.groups.restore(&state, 5).unwrap_err().to_string();
    for part in [
        "adamw cannot resume from this state",
        "`w/third_moment` is unknown",
        "`w/first_moment` is []",
        "`b/second_moment` is missing",
    ] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
    assert_eq!(problem.groups.steps_done(), 0);
}

#[test]
fn settings_out_of_range_are_all_reported() {
    let problems = AdamW::with_lr(f64::NAN).betas(1.0, 0.999).weight_decay(-1.0).problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(Sgd::with_lr(0.1).nesterov().problems().len(), 1);
    assert_eq!(Lion::with_lr(-1.0).betas(2.0, 0.5).problems().len(), 2);
    assert_eq!(Adafactor::with_lr(0.1).decay(0.5).problems().len(), 1);
}

#[test]
fn a_setting_that_an_optimizer_lacks_is_an_error() {
    let changes = OptimizerChanges { betas: Some((0.9, 0.99)), ..OptimizerChanges::default() };
    let error = Sgd::with_lr(0.1).with(&changes).unwrap_err().to_string();
    assert!(error.contains("`betas` was given, which SGD does not have"), "{error}");
}

/// An embedding of four rows of width two, after three steps over these tokens each.
fn embedding(optimizer: impl Optimizer, sparse: Option<SparseUpdates>, tokens: [&[i64]; 3]) -> Vec<f64> {
    let kind = (tch::Kind::Double, tch::Device::Cpu);
    let table = Tensor::arange(8, kind).view([4, 2]).sin().set_requires_grad(true);
    let named = [("table".to_owned(), table.shallow_clone())];
    let mut groups =
        Groups::new(Box::new(optimizer), Semantics::Exact).moving(sparse.unwrap_or(SparseUpdates::EveryRow));
    groups.add(&OptimizerChanges::default(), &Parameters::new(named), &|_| 1.0).unwrap();
    for tokens in tokens {
        groups.clear_gradients().unwrap();
        let rows = Tensor::embedding(&table, &Tensor::from_slice(tokens), -1, false, sparse.is_some());
        ((rows + 1.0).square() * 3.0).sum(tch::Kind::Double).backward();
        clip(&groups.gradients().unwrap(), 2.0).unwrap();
        groups.step(1.0).unwrap();
    }
    Vec::<f64>::try_from(table.detach().view([-1])).unwrap()
}

/// A token that occurs twice in a step, one that comes and goes, and one that never occurs.
const TOKENS: [&[i64]; 3] = [&[1, 3, 1], &[1], &[3, 1, 1, 1]];

#[test]
fn a_sparse_gradient_moves_all_rows_as_the_dense_one_does() {
    for (sparse, dense) in [
        (
            embedding(AdamW::with_lr(0.1), Some(SparseUpdates::EveryRow), TOKENS),
            embedding(AdamW::with_lr(0.1), None, TOKENS),
        ),
        (
            embedding(Sgd::with_lr(0.1).momentum(0.9), Some(SparseUpdates::EveryRow), TOKENS),
            embedding(Sgd::with_lr(0.1).momentum(0.9), None, TOKENS),
        ),
        // Its state is per row and per column: it cannot update some rows without the others.
        (
            embedding(Adafactor::with_lr(0.1), Some(SparseUpdates::RowsInUse), TOKENS),
            embedding(Adafactor::with_lr(0.1), None, TOKENS),
        ),
    ] {
        assert_close(&sparse, &dense);
    }
}

#[test]
fn rows_in_use_move_alone_and_as_they_would_with_the_others() {
    let before = embedding(AdamW::with_lr(0.0), None, TOKENS);
    let optimizer = || AdamW::with_lr(0.1).weight_decay(0.01);
    let both: [&[i64]; 3] = [&[1, 3], &[1, 3, 3], &[3, 1]];
    let moved = embedding(optimizer(), Some(SparseUpdates::RowsInUse), both);
    let dense = embedding(optimizer(), None, both);
    for row in 0..4 {
        let range = 2 * row..2 * row + 2;
        match row {
            // Weight decay changes them if every row is updated.
            0 | 2 => {
                assert_eq!(moved[range.clone()], before[range.clone()]);
                assert_ne!(dense[range.clone()], before[range]);
            }
            _ => assert_close(&moved[range.clone()], &dense[range]),
        }
    }
    let once: [&[i64]; 3] = [&[1, 3], &[1], &[1]];
    let first: [&[i64]; 3] = [&[1, 3], &[], &[]];
    let rare = |tokens| embedding(Sgd::with_lr(0.1).momentum(0.9), Some(SparseUpdates::RowsInUse), tokens);
    // Without a gradient the row stays where its last gradient left it, whatever its momentum.
    assert_eq!(rare(once)[6..8], rare(first)[6..8]);
}

/// Eight steps: a bias that has a gradient in every third, and a matrix that has none before the sixth.
fn rarely_moved(optimizer: impl Optimizer) -> Vec<f64> {
    let leaf = |values: &[f64], size: &[i64]| Tensor::from_slice(values).view(size).set_requires_grad(true);
    let (w, b) = (leaf(&[1.0, -2.0, 0.5, 3.0], &[2, 2]), leaf(&[0.1, -0.2], &[2]));
    let u = leaf(&[0.3, 0.4, -0.5, 0.6], &[2, 2]);
    let named =
        [("w", &w), ("b", &b), ("u", &u)].map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()));
    let mut groups = Groups::new(Box::new(optimizer), Semantics::TextBrewer);
    groups.add(&OptimizerChanges::default(), &Parameters::new(named), &|_| 1.0).unwrap();
    let input = Tensor::from_slice(&[1.0, 2.0, 3.0, -1.0]).view([2, 2]);
    for step in 0..8 {
        groups.clear_gradients().unwrap();
        let mut output = input.matmul(&w.tr());
        if step % 3 == 2 {
            output += &b;
        }
        if step >= 5 {
            output += input.matmul(&u.tr());
        }
        output.square().mean(tch::Kind::Double).backward();
        groups.step(1.0).unwrap();
    }
    let all = Tensor::cat(&[w.detach().view([-1]), b.detach(), u.detach().view([-1])], 0);
    Vec::<f64>::try_from(all).unwrap()
}

// PyTorch 2.11, float64:
//
//   w = Parameter([[1, -2], [.5, 3]]); b = Parameter([.1, -.2]); u = Parameter([[.3, .4], [-.5, .6]])
//   o = make([w, b, u]); x = tensor([[1, 2], [3, -1]])
//   for s in range(8):
//       o.zero_grad(); out = x @ w.T
//       if s % 3 == 2: out = out + b
//       if s >= 5: out = out + x @ u.T
//       (out ** 2).mean().backward(); o.step()
//
// with AdamW(p, lr=.1, weight_decay=.01), Adam(p, lr=.1, weight_decay=.01), SGD(p, lr=.02, momentum=.9,
// weight_decay=.01), Adafactor(p, lr=.5, weight_decay=.01) of torch.optim, and the program of Lion above.
#[test]
fn a_parameter_that_is_rarely_given_a_gradient_counts_its_own_steps_as_pytorchs_does() {
    assert_close(
        &rarely_moved(AdamW::with_lr(0.1).weight_decay(0.01)),
        &[
            0.21781375671232361,
            -1.2127988702731045,
            0.35137825037403764,
            2.1806205129754397,
            -0.09986017683970068,
            -0.3869134839125139,
            0.006125674935008499,
            0.6941529667966019,
            -0.21228034498418716,
            0.2993421711493195,
        ],
    );
    assert_close(
        &rarely_moved(Adam::with_lr(0.1).weight_decay(0.01)),
        &[
            0.22265223650709415,
            -1.2254832399834656,
            0.3521324201294812,
            2.201578663275265,
            -0.09976154595012869,
            -0.38749750225943724,
            0.006619082369128643,
            0.6957211775473771,
            -0.21334706600590453,
            0.3008199656327789,
        ],
    );
    assert_close(
        &rarely_moved(Sgd::with_lr(0.02).momentum(0.9).weight_decay(0.01)),
        &[
            -0.8872639953618208,
            0.11508221134627282,
            0.31930597622612455,
            -0.2797238541084004,
            0.07604479103034367,
            -0.28013146459837845,
            0.3444168773232718,
            0.423655424343059,
            -0.2860007637923907,
            0.18623943445347593,
        ],
    );
    assert_close(
        &rarely_moved(Adafactor::with_lr(0.5).weight_decay(0.01)),
        &[
            -0.1363376034453666,
            -0.4174456147507673,
            0.34530528669935434,
            0.3686841804047192,
            0.0557379275962445,
            -0.19761497839404207,
            0.08848760807957191,
            0.41625855522296457,
            -0.2755102194281734,
            0.11348396954333531,
        ],
    );
    assert_close(
        &rarely_moved(Lion::with_lr(0.1).weight_decay(0.01)),
        &[
            0.1948223510643469,
            -1.18685029513429,
            0.49721057703037463,
            2.1788782392042343,
            -0.1000999,
            -0.39950019999999997,
            -0.0005992003000000468,
            0.6985012996000001,
            -0.1988013995,
            0.29850169939999993,
        ],
    );
}

// By the formula: with a constant gradient m̂ / √v̂ is 1 at every step of the parameter's own, and so each move
// is the learning rate, whenever it comes. PyTorch 2.11 moves 0.99999999, four times.
#[test]
fn a_constant_gradient_in_every_tenth_step_moves_by_the_learning_rate_each_time() {
    let leaf = || Tensor::from_slice(&[0.0]).set_requires_grad(true);
    let (often, rarely) = (leaf(), leaf());
    let named =
        [("often", &often), ("rarely", &rarely)].map(|(name, leaf)| (name.to_owned(), leaf.shallow_clone()));
    let mut groups = Groups::new(Box::new(AdamW::with_lr(1.0).weight_decay(0.0)), Semantics::Exact);
    groups.add(&OptimizerChanges::default(), &Parameters::new(named), &|_| 1.0).unwrap();
    let mut moves = Vec::new();
    for step in 1..=40 {
        groups.clear_gradients().unwrap();
        let gives = if step % 10 == 0 { &often + &rarely } else { &often * 1.0 };
        gives.sum(tch::Kind::Double).backward();
        let before = rarely.double_value(&[0]);
        groups.step(1.0).unwrap();
        if step % 10 == 0 {
            moves.push(before - rarely.double_value(&[0]));
        }
    }
    assert_eq!(moves.len(), 4);
    moves.iter().for_each(|moved| assert!((moved - 0.99999999).abs() < 1e-12, "{moves:?}"));
    // The count is part of the state, of each parameter its own.
    let state = groups.state();
    assert_eq!(state["often/step"].int64_value(&[]), 40);
    assert_eq!(state["rarely/step"].int64_value(&[]), 4);
}
