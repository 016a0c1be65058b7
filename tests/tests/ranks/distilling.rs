//! The trainer gives the same student whatever the number of ranks, and rank 0 alone writes and tells.

use std::collections::HashMap;
use std::path::Path;

use brew_core::tch::{Kind, Tensor};
use tempfile::TempDir;
use tests::{Meeting, ended};

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_distils_as_one_of_several");

/// What each rank printed, and whether it succeeded.
pub(super) fn distil(folder: &Path, what: &[&str], world_size: usize) -> Vec<(bool, String)> {
    let arguments = [&[folder.to_str().unwrap()], what].concat();
    let told = ended(Meeting::new().start_all(PROGRAM, &arguments, world_size));
    told.into_iter().map(|(status, text)| (status.success(), text)).collect()
}

/// What rank 0 printed of a run that succeeded on all ranks.
pub(super) fn distilled(folder: &Path, what: &[&str], world_size: usize) -> String {
    let told = distil(folder, what, world_size);
    assert!(told.iter().all(|(success, _)| *success), "{told:?}");
    for (_, other) in &told[1..] {
        // Rank 0 alone observes; all get the same summary.
        assert_eq!(other.trim(), told[0].1.trim().lines().last().unwrap());
    }
    told[0].1.clone()
}

/// The student of all ranks, whose bytes are equal.
pub(super) fn student(folder: &Path, world_size: usize) -> HashMap<String, Tensor> {
    let path = |rank: usize| folder.join(format!("student-{rank}.safetensors"));
    let bytes = |rank: usize| std::fs::read(path(rank)).unwrap();
    assert!((1..world_size).all(|rank| bytes(rank) == bytes(0)), "{world_size} ranks differ");
    Tensor::read_safetensors(path(0)).unwrap().into_iter().collect()
}

/// The largest difference of a weight.
pub(super) fn difference(one: &HashMap<String, Tensor>, other: &HashMap<String, Tensor>) -> f64 {
    assert_eq!(one.len(), other.len());
    let of = |(name, tensor): (&String, &Tensor)| {
        (tensor - &other[name]).abs().max().to_kind(Kind::Double).double_value(&[])
    };
    one.iter().map(of).fold(0.0, f64::max)
}

/// The lines of an output that begin with a word, without the numbers that ranks round differently.
fn metrics(told: &str) -> Vec<&str> {
    told.lines()
        .filter(|line| line.contains(" f1_macro ") || line.contains(" matthews ") || line.contains(" sure "))
        .collect()
}

#[test]
fn one_two_three_and_four_ranks_distil_the_same_student_with_the_same_metrics() {
    let folders: Vec<TempDir> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let alone = distilled(folders[0].path(), &[], 1);
    assert_eq!(metrics(&alone).len(), 15, "{alone}");
    assert!(!alone.contains("started"), "{alone}");
    let expected = student(folders[0].path(), 1);
    // Five evaluations of three batches, and the check before the first step, which every rank makes.
    let checked = predicted(folders[0].path(), 0) - 5 * 3;
    for world_size in 2..=4 {
        let folder = folders[world_size - 1].path();
        let told = distilled(folder, &[], world_size);
        let of_ranks = (0..world_size).map(|rank| predicted(folder, rank) - checked).collect::<Vec<_>>();
        assert_eq!(of_ranks, [vec![10, 5], vec![5, 5, 5], vec![5, 5, 5, 0]][world_size - 2]);
        assert!(
            told.contains(&format!(
                "started {world_size} ranks divide the batches of a step (4); each holds"
            )),
            "{told}"
        );
        assert_eq!(metrics(&told), metrics(&alone));
        assert_eq!(told.lines().last(), alone.lines().last());
        let losses = |told: &str| -> Vec<String> {
            told.lines().filter(|line| line.starts_with("step ")).map(str::to_owned).collect()
        };
        assert_eq!(losses(&told), losses(&alone));
        let worst = difference(&expected, &student(folder, world_size));
        println!("{world_size} ranks: {worst:.1e} from one rank's student");
        assert!(worst < 1e-6, "{world_size} ranks: {worst:.1e}");
    }
}

#[test]
fn steps_that_cross_from_one_epoch_to_the_next_are_divided_too() {
    let [alone, two, three] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let expected = distilled(alone.path(), &["steps"], 1);
    for (world_size, folder) in [(2, &two), (3, &three)] {
        let told = distilled(folder.path(), &["steps"], world_size);
        assert_eq!(told.lines().last(), expected.lines().last());
        let worst = difference(&student(alone.path(), 1), &student(folder.path(), world_size));
        assert!(worst < 1e-6, "{world_size} ranks: {worst:.1e}");
    }
}

/// How many batches a rank has predicted.
fn predicted(folder: &Path, rank: usize) -> usize {
    std::fs::read_to_string(folder.join(format!("predicted-{rank}"))).unwrap().parse().unwrap()
}

/// The step that a run resumed after.
pub(super) fn resumed(told: &str) -> u64 {
    let line = told.lines().find_map(|line| line.strip_prefix("resumed "));
    line.unwrap_or_else(|| panic!("not resumed: {told}")).parse().unwrap()
}

#[test]
fn a_run_of_two_ranks_resumes_with_four_and_then_with_one() {
    let [whole, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    distilled(whole.path(), &[], 1);
    let died = distil(folder.path(), &["run", "dies"], 2);
    assert!(died.iter().all(|(success, _)| !success), "{died:?}");
    let signalled = distil(folder.path(), &["run", "signal"], 4);
    assert_eq!(resumed(&signalled[0].1), 3, "{signalled:?}");
    let told = distilled(folder.path(), &["run"], 1);
    assert!(resumed(&told) >= 4, "{told}");
    let worst = difference(&student(whole.path(), 1), &student(folder.path(), 1));
    assert!(worst < 1e-6, "{worst:.1e}");
    assert!(folder.path().join("run/student").exists() && folder.path().join("run/summary.json").exists());
}
