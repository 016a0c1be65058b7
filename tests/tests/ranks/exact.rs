//! With exact sums, every number of ranks writes the same bytes, also with losses that carry state.

use std::path::Path;

use tempfile::TempDir;

use super::distilling::{difference, distil, distilled, resumed, student};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The bytes of the student and of what was learned beside it, which are equal on all ranks.
fn bytes(folder: &Path, world_size: usize) -> Vec<u8> {
    student(folder, world_size);
    std::fs::read(folder.join("student-0.safetensors")).unwrap()
}

#[test]
fn exact_sums_give_the_same_bytes_on_one_two_three_and_four_ranks() {
    let [alone, plain] = [(); 2].map(|()| folder());
    let told = distilled(alone.path(), &["exact"], 1);
    let expected = bytes(alone.path(), 1);
    for world_size in 2..=4 {
        let several = folder();
        let of_several = distilled(several.path(), &["exact"], world_size);
        assert!(bytes(several.path(), world_size) == expected, "{world_size} ranks write other bytes");
        assert_eq!(of_several.lines().last(), told.lines().last());
    }
    distilled(plain.path(), &[], 1);
    assert!(
        bytes(plain.path(), 1) != expected,
        "the order of additions shows in no bit, so this test shows nothing"
    );
}

#[test]
fn losses_with_state_hear_of_the_batches_of_all_ranks_in_their_order() {
    let without = folder();
    distilled(without.path(), &["exact"], 1);
    for loss in ["taid", "crd", "running"] {
        let [alone, several] = [(); 2].map(|()| folder());
        distilled(alone.path(), &["exact", loss], 1);
        let trained = |folder: &TempDir| {
            student(folder.path(), 1).into_iter().filter(|(name, _)| !name.starts_with("crd"))
        };
        let effect = difference(&trained(&alone).collect(), &trained(&without).collect());
        assert!(effect > 1e-3, "`{loss}` has no effect: {effect:.1e}");
        distilled(several.path(), &["exact", loss], 3);
        let [expected, found] = [student(alone.path(), 1), student(several.path(), 3)];
        assert!(
            bytes(several.path(), 3) == bytes(alone.path(), 1),
            "{loss}: {:.1e}",
            difference(&expected, &found)
        );
    }
    let all = ["taid", "crd", "running"];
    let [alone, several] = [(); 2].map(|()| folder());
    distilled(alone.path(), &all, 1);
    distilled(several.path(), &all, 2);
    let worst = difference(&student(alone.path(), 1), &student(several.path(), 2));
    assert!(worst < 1e-6, "{worst:.1e}");
}

#[test]
fn a_run_with_exact_sums_and_state_resumes_on_other_numbers_of_ranks_to_the_same_bytes() {
    let [whole, killed] = [(); 2].map(|()| folder());
    distilled(whole.path(), &["exact", "crd", "taid"], 1);
    let died = distil(killed.path(), &["exact", "crd", "taid", "run", "dies"], 2);
    assert!(died.iter().all(|(success, _)| !success), "{died:?}");
    let signalled = distil(killed.path(), &["exact", "crd", "taid", "run", "signal"], 4);
    assert_eq!(resumed(&signalled[0].1), 3, "{signalled:?}");
    let refused = distil(killed.path(), &["crd", "taid", "run"], 1);
    assert!(refused[0].1.contains("exact_sums was true, now it is null"), "{refused:?}");
    let told = distilled(killed.path(), &["exact", "crd", "taid", "run"], 1);
    assert!(resumed(&told) >= 4, "{told}");
    assert!(bytes(killed.path(), 1) == bytes(whole.path(), 1));
}
