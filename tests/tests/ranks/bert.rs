//! brew's own encoder in float32, with dropout and sparse embeddings, on several ranks.

use std::collections::HashMap;
use std::path::Path;

use brew_core::tch::Tensor;
use tests::{Meeting, printed};

use super::distilling::difference;

const PROGRAM: &str = env!("CARGO_BIN_EXE_distils_bert_as_one_of_several");

/// The bytes of the student, which are equal on all ranks.
fn trained(folder: &Path, what: &[&str], world_size: usize) -> Vec<u8> {
    let arguments = [&[folder.to_str().unwrap()], what].concat();
    printed(Meeting::new().start_all(PROGRAM, &arguments, world_size));
    let bytes = |rank: usize| std::fs::read(folder.join(rank.to_string()).join("model.safetensors")).unwrap();
    assert!((1..world_size).all(|rank| bytes(rank) == bytes(0)), "{world_size} ranks differ");
    bytes(0)
}

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(folder.join("0/model.safetensors")).unwrap().into_iter().collect()
}

#[test]
fn an_encoder_in_float32_is_the_same_on_one_two_and_three_ranks() {
    // Adam would make whole steps of the round-off in gradients that are 0 in theory, such as those of the keys' biases.
    let alone = tempfile::tempdir().unwrap();
    trained(alone.path(), &["sgd"], 1);
    for world_size in [2, 3] {
        let several = tempfile::tempdir().unwrap();
        trained(several.path(), &["sgd"], world_size);
        let worst = difference(&tensors(alone.path()), &tensors(several.path()));
        println!("{world_size} ranks: {worst:.1e} from one rank's student");
        assert!(worst < 1e-6, "{world_size} ranks: {worst:.1e}");
    }
}

#[test]
fn an_encoder_in_float32_has_the_same_bytes_with_exact_sums() {
    let alone = tempfile::tempdir().unwrap();
    let expected = trained(alone.path(), &["exact"], 1);
    for world_size in [2, 3] {
        let several = tempfile::tempdir().unwrap();
        assert!(trained(several.path(), &["exact"], world_size) == expected, "{world_size} ranks");
    }
}
