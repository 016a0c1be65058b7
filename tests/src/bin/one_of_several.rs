//! One rank of several, for the tests of `ranks`.
//!
//! `one_of_several SCENARIO [ARGUMENT]`; it prints what came out, and an error with the seconds that it took.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's program fails where a helper does, and tells its test what came out"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use brew_core::prelude::*;
use brew_core::ranks::{Agreement, Group, Ranks};

/// The tensors of a rank: several dtypes and shapes, one not contiguous, one empty, one larger than a socket's buffer.
fn tensors(rank: usize) -> Vec<Tensor> {
    let rank = rank as f64;
    let wave = |count: i64| (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.37 + rank).sin();
    vec![
        wave(6).reshape([2, 3]).to_kind(Kind::Float),
        (Tensor::arange(4, (Kind::Int64, Device::Cpu)) + rank as i64) * (1_i64 << 40),
        wave(1).reshape([0_i64; 0]),
        wave(12).reshape([3, 4]).to_kind(Kind::Float).tr(),
        Tensor::zeros([0, 5], (Kind::Float, Device::Cpu)),
        wave(5).to_kind(Kind::BFloat16),
        wave(400_003).to_kind(Kind::Float),
    ]
}

fn joined(seed: u64, timeout: Duration) -> Result<Group> {
    let ranks = Ranks::from_environment()?.unwrap();
    ranks.join(&Agreement::new().value("seed", seed), timeout)
}

/// Every call gives what one process computes from the tensors of all ranks.
fn calls() -> Result<()> {
    let mut group = joined(7, Duration::from_secs(30))?;
    let (rank, world_size) = (group.rank(), group.world_size());
    let all: Vec<Vec<Tensor>> = (0..world_size).map(tensors).collect();

    let mut sums = tensors(rank);
    group.all_reduce(&mut sums)?;
    for (index, sum) in sums.iter().enumerate() {
        let wanted =
            all.iter().skip(1).fold(all[0][index].to_kind(Kind::Double), |sum, other| sum + &other[index]);
        let bound = match sum.kind() {
            Kind::Int64 => 0.0,
            Kind::BFloat16 => 0.02,
            Kind::Double => 1e-15,
            _ => 3e-7,
        };
        assert_eq!(sum.size(), all[0][index].size());
        let worst = (sum.to_kind(Kind::Double) - wanted).abs();
        let worst = if worst.numel() == 0 { 0.0 } else { worst.max().double_value(&[]) };
        assert!(worst <= bound, "tensor {index}: {worst}");
    }

    let root = world_size - 1;
    let mut sent = tensors(rank);
    group.broadcast(&mut sent, root)?;
    assert!(sent.iter().zip(&all[root]).all(|(sent, wanted)| sent == wanted));

    let gathered = group.all_gather(&tensors(rank))?;
    assert_eq!(gathered, all);

    let text = |rank: usize| "x".repeat(rank * 70_000).into_bytes();
    assert_eq!(group.all_gather_bytes(&text(rank))?, (0..world_size).map(text).collect::<Vec<_>>());
    group.barrier()?;

    // Two at once, and what happens to the tensors meanwhile does not matter. From three ranks on, the order of a sum
    // depends on the place in the message, so the sums to compare with are those of the tensors alone.
    let alone = |index: usize| [tensors(rank).swap_remove(index)];
    let (mut small, mut large) = (alone(0), alone(6));
    group.all_reduce(&mut small)?;
    group.all_reduce(&mut large)?;
    let [mut first, second] = [alone(0), alone(6)];
    let pending = [group.start_all_reduce(&first)?, group.start_all_reduce(&second)?];
    let _ = first[0].f_zero_()?;
    for pending in pending {
        group.wait(pending)?;
    }
    assert!(first == small && second == large);
    println!("{}", digest(&sums));
    Ok(())
}

/// The bits of a list.
fn digest(tensors: &[Tensor]) -> f64 {
    let weigh = |tensor: &Tensor| {
        let flat = tensor.to_kind(Kind::Double).reshape([-1]);
        let places = Tensor::arange(flat.numel() as i64, (Kind::Double, Device::Cpu)).cos();
        (flat * places).sum(Kind::Double).double_value(&[])
    };
    tensors.iter().map(weigh).sum()
}

/// The sum of a file's tensor `rank-R`, written to `brew-R.safetensors`.
fn of_file(folder: &Path) -> Result<()> {
    let mut group = joined(7, Duration::from_secs(60))?;
    let named = Tensor::read_safetensors(folder.join("ranks.safetensors"))?;
    let rank = group.rank();
    let mut mine: Vec<Tensor> = named
        .into_iter()
        .filter(|(name, _)| *name == format!("rank-{rank}"))
        .map(|(_, tensor)| tensor)
        .collect();
    group.all_reduce(&mut mine)?;
    Tensor::write_safetensors(&[("sum", &mine[0])], folder.join(format!("brew-{rank}.safetensors")))?;
    Ok(())
}

/// What the others see if rank 1 does something else.
fn failing(scenario: &str) -> Result<()> {
    let patience = match scenario {
        // Nobody is missing here, however slowly a process starts.
        "meets-late" => Duration::from_secs(30),
        _ => Duration::from_millis(1500),
    };
    let ranks = Ranks::from_environment()?.unwrap();
    let odd = ranks.rank() == 1;
    let seed = if odd && scenario == "other-seed" { 8 } else { 7 };
    let mut group = ranks.join(&Agreement::new().value("seed", seed), patience)?;
    let mut sum = [Tensor::from_slice(&[1.0_f32, 2.0])];
    group.all_reduce(&mut sum)?;
    match scenario {
        "dies" if odd => std::process::exit(0),
        "hangs" if odd => std::thread::sleep(Duration::from_secs(60)),
        "other-call" if odd => group.barrier()?,
        "other-shape" if odd => sum = [Tensor::from_slice(&[1.0_f32, 2.0, 3.0])],
        "undefined" => sum = [Tensor::new()],
        "layouts" => return group.sum_gradients(&with_gradient(odd)),
        "fewer" if odd => return group.sum_gradients(&Parameters::default()),
        "fewer" => return group.sum_gradients(&with_gradient(false)),
        _ => {}
    }
    group.all_reduce(&mut sum)
}

/// An embedding with a gradient.
fn with_gradient(sparse: bool) -> Parameters {
    let weight = Tensor::ones([3, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let rows = Tensor::from_slice(&[0_i64]);
    Tensor::embedding(&weight, &rows, -1, false, sparse).sum(Kind::Float).backward();
    Parameters::new([("embedding".to_owned(), weight)])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let begun = Instant::now();
    let outcome = match arguments[0].as_str() {
        "calls" => calls(),
        "file" => of_file(Path::new(&arguments[1])),
        other => failing(other),
    };
    if let Err(error) = outcome {
        println!("{} {error}", begun.elapsed().as_secs_f64());
    }
}
