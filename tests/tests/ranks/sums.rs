//! What ranks compute together equals what one process computes alone, and what PyTorch's gloo computes.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use brew_core::tch::{Device, Kind, Tensor};
use tests::{Meeting, printed, python};

use super::PROGRAM;

#[test]
fn two_and_three_ranks_compute_what_one_process_computes_with_equal_bits_on_all() {
    for world_size in [2, 3] {
        let told = printed(Meeting::new().start_all(PROGRAM, &["calls"], world_size));
        assert!(told[0].trim().parse::<f64>().is_ok(), "{}", told[0]);
        assert!(told.iter().all(|other| *other == told[0]), "{told:?}");
    }
}

/// PyTorch's own sum: `torch.distributed` with gloo over the same tensors.
const PYTORCH: &str = "
import os, sys
import torch, torch.distributed as dist
from safetensors.torch import load_file, save_file
rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=size)
tensor = load_file(f'{folder}/ranks.safetensors')[f'rank-{rank}']
dist.all_reduce(tensor)
save_file({'sum': tensor}, f'{folder}/pytorch-{rank}.safetensors')
dist.destroy_process_group()
";

#[test]
fn sums_have_the_bits_of_pytorchs_gloo() {
    let imports = "import torch.distributed, safetensors.torch; assert torch.__version__.startswith('2.11.'), 'another PyTorch than 2.11'";
    let Some(python) = python("sums_have_the_bits_of_pytorchs_gloo", imports) else { return };
    // The order of additions matters from three ranks on.
    let world_size = 3;
    let folder = tempfile::tempdir().unwrap();
    let tensor = |rank: usize| {
        (Tensor::arange(100_003, (Kind::Double, Device::Cpu)) * 0.11 + rank as f64).sin().to_kind(Kind::Float)
    };
    let named: Vec<(String, Tensor)> =
        (0..world_size).map(|rank| (format!("rank-{rank}"), tensor(rank))).collect();
    Tensor::write_safetensors(&named, folder.path().join("ranks.safetensors")).unwrap();
    let path = folder.path().to_str().unwrap();
    let python = |rank: usize| {
        let (rank, size) = (rank.to_string(), world_size.to_string());
        let mut command = Command::new(&python);
        command.args(["-c", PYTORCH, &rank, &size, path]).env("OMP_NUM_THREADS", "1");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    printed((0..world_size).map(python).collect());
    printed(Meeting::new().start_all(PROGRAM, &["file", path], world_size));
    let [brew, pytorch] = ["brew", "pytorch"].map(|name| sum(folder.path(), name, world_size));
    assert_eq!(brew, pytorch);
}

/// The sum, which is equal on all ranks.
fn sum(folder: &Path, name: &str, world_size: usize) -> Tensor {
    let read = |rank: usize| {
        let path = folder.join(format!("{name}-{rank}.safetensors"));
        let mut named: HashMap<String, Tensor> =
            Tensor::read_safetensors(path).unwrap().into_iter().collect();
        named.remove("sum").unwrap()
    };
    let first = read(0);
    assert!((1..world_size).all(|rank| read(rank) == first), "{name}");
    first
}
