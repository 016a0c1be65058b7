//! The student is the same whatever the number of ranks.

use std::collections::HashMap;
use std::path::Path;

use brew_core::tch::{Kind, Tensor};
use tests::{Meeting, printed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trains_as_one_of_several");
const STEPS: &str = "50";

fn read(path: &Path) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

#[test]
fn one_two_three_and_four_ranks_train_the_same_student() {
    let folder = tempfile::tempdir().unwrap();
    let train = |world_size: usize| {
        let meeting = Meeting::new();
        let path = |rank: usize| folder.path().join(format!("{world_size}-{rank}.safetensors"));
        let start =
            |rank: usize| meeting.start(PROGRAM, &[path(rank).to_str().unwrap(), STEPS], rank, world_size);
        let computed = printed((0..world_size).map(start).collect());
        let computed: Vec<u64> = computed.iter().map(|text| text.trim().parse().unwrap()).collect();
        // 25 steps with four micro-batches and 25 with two, each computed once.
        assert_eq!(computed.iter().sum::<u64>(), 150, "{computed:?}");
        let bytes = |rank: usize| std::fs::read(path(rank)).unwrap();
        assert!((1..world_size).all(|rank| bytes(rank) == bytes(0)), "{world_size} ranks differ");
        read(&path(0))
    };
    let alone = train(1);
    for world_size in 2..=4 {
        let student = train(world_size);
        let mut worst = 0.0_f64;
        for (name, tensor) in &alone {
            let difference = (tensor - &student[name]).abs().max().to_kind(Kind::Double);
            worst = worst.max(difference.double_value(&[]));
        }
        println!("{world_size} ranks: {worst:.1e} from one rank's student");
        assert!(worst < 1e-6, "{world_size} ranks: {worst:.1e}");
    }
}
