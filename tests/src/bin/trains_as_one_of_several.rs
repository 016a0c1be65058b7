//! Trains a small student as one rank of several, or alone: dropout, masks of uneven length, a relation loss, clipping, and
//! a parameter that only some micro-batches use. Prints how many micro-batches it computed.
//!
//! `trains_as_one_of_several FILE STEPS`; the student goes to FILE.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test's program fails where a helper does")]

use std::time::Duration;

use brew_core::prelude::*;
use brew_core::ranks::{Agreement, Group, Ranks};
use brew_core::tch::{self, no_grad};

const SEED: i64 = 7;

/// The student: two layers, a row that only the last micro-batch uses, and one that none does.
fn student() -> Parameters {
    tch::manual_seed(SEED);
    let new = |size: &[i64]| (Tensor::randn(size, (Kind::Float, Device::Cpu)) * 0.3).set_requires_grad(true);
    let named = [("first", vec![6, 8]), ("second", vec![8, 3]), ("seldom", vec![3]), ("unused", vec![5])];
    Parameters::new(named.map(|(name, size)| (name.to_owned(), new(&size))))
}

/// The micro-batches of a step: inputs (rows, length, 6) and a mask (rows, length), of uneven lengths.
fn micro_batches(step: i64) -> Vec<(Tensor, Tensor)> {
    // An odd step has fewer micro-batches than three ranks.
    let count = if step % 2 == 0 { 4 } else { 2 };
    let one = |number: i64| {
        tch::manual_seed(1000 * step + number);
        let (rows, length) = (2 + number, 3 + (number * 5 + step) % 4);
        let inputs = Tensor::randn([rows, length, 6], (Kind::Float, Device::Cpu));
        let lengths = Tensor::randint_low(1, length + 1, [rows, 1], (Kind::Int64, Device::Cpu));
        let mask = Tensor::arange(length, (Kind::Int64, Device::Cpu)).lt_tensor(&lengths);
        (inputs, mask.to_kind(Kind::Float))
    };
    (0..count).map(one).collect()
}

fn get<'p>(parameters: &'p Parameters, name: &str) -> &'p Tensor {
    parameters.iter().find(|(known, _)| *known == name).unwrap().1
}

/// The loss of a micro-batch, divided by the positions and rows of the whole step.
fn loss(parameters: &Parameters, (inputs, mask): &(Tensor, Tensor), last: bool, counts: &Tensor) -> Tensor {
    let hidden = inputs.matmul(get(parameters, "first")).tanh().dropout(0.1, true);
    let logits = hidden.matmul(get(parameters, "second"));
    let logits = if last { logits + get(parameters, "seldom") } else { logits };
    let target = inputs.narrow(2, 0, 3).sin();
    let tokens = ((logits - target).square().sum_dim_intlist(2, false, Kind::Float) * mask).sum(Kind::Float);
    let pooled = (hidden * mask.unsqueeze(2)).sum_dim_intlist(1, false, Kind::Float);
    let teacher = (inputs * mask.unsqueeze(2)).sum_dim_intlist(1, false, Kind::Float);
    let gram = |rows: &Tensor| rows.matmul(&rows.tr()) / rows.size()[1];
    let relation = (gram(&pooled) - gram(&teacher)).square().sum(Kind::Float);
    tokens / counts.get(0) + relation * 0.01 / counts.get(1)
}

fn step(
    number: i64,
    parameters: &Parameters,
    moments: &mut [(Tensor, Tensor)],
    mut group: Option<&mut Group>,
) -> Result<usize> {
    for (_, tensor) in parameters.iter() {
        tensor.shallow_clone().zero_grad();
    }
    let all = micro_batches(number);
    let share = group.as_ref().map_or(0..all.len(), |group| group.share(all.len()));
    let counts = all[share.clone()].iter().map(|(_, mask)| {
        Tensor::from_slice(&[mask.sum(Kind::Double).double_value(&[]), mask.size()[0] as f64])
    });
    let mut counts = [counts.fold(Tensor::zeros([2], (Kind::Double, Device::Cpu)), |sum, next| sum + next)];
    if let Some(group) = &mut group {
        group.all_reduce(&mut counts)?;
    }
    let counts = counts[0].to_kind(Kind::Float);
    for index in share.clone() {
        tch::manual_seed(SEED + 100 * number + index as i64);
        loss(parameters, &all[index], index + 1 == all.len(), &counts).backward();
    }
    if let Some(group) = group {
        group.sum_gradients(parameters)?;
    }
    no_grad(|| update(number, parameters, moments));
    Ok(share.len())
}

/// Clips to norm 1, then Adam.
fn update(step: i64, parameters: &Parameters, moments: &mut [(Tensor, Tensor)]) {
    let gradients: Vec<Tensor> = parameters.iter().map(|(_, tensor)| tensor.grad()).collect();
    let norm = gradients.iter().filter(|gradient| gradient.defined());
    let norm = norm.map(|gradient| gradient.square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt();
    for (((_, tensor), gradient), (first, second)) in parameters.iter().zip(gradients).zip(moments) {
        if !gradient.defined() {
            continue;
        }
        let gradient = gradient * (1.0 / norm).min(1.0);
        *first = &*first * 0.9 + &gradient * 0.1;
        *second = &*second * 0.999 + gradient.square() * 0.001;
        let (one, two) = (1.0 - 0.9_f64.powi(step as i32 + 1), 1.0 - 0.999_f64.powi(step as i32 + 1));
        let _ = tensor
            .shallow_clone()
            .f_sub_(&(&*first / one / ((&*second / two).sqrt() + 1e-8) * 0.01))
            .unwrap();
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parameters = student();
    let agreement = Agreement::new().value("seed", SEED).parameters("student", &parameters)?;
    let ranks = Ranks::from_environment()?;
    let mut group = ranks.map(|ranks| ranks.join(&agreement, Duration::from_secs(30))).transpose()?;
    let mut moments: Vec<_> = parameters
        .iter()
        .map(|(_, tensor)| (tensor.zeros_like().detach(), tensor.zeros_like().detach()))
        .collect();
    let mut computed = 0;
    for number in 0..arguments[1].parse().unwrap() {
        computed += step(number, &parameters, &mut moments, group.as_mut())?;
    }
    assert!(!get(&parameters, "unused").grad().defined());
    println!("{computed}");
    Tensor::write_safetensors(&parameters.iter().collect::<Vec<_>>(), &arguments[0])?;
    Ok(())
}
