//! Whatever goes wrong on one rank ends the run on all of them within seconds, with one sentence that names the rank.

use std::os::unix::fs::PermissionsExt as _;

use super::distilling::{difference, distil, student};

/// The errors of all ranks.
fn errors(told: &[(bool, String)]) -> Vec<String> {
    let error = |(success, text): &(bool, String)| {
        assert!(!success, "{told:?}");
        let (_, told) = text.split_once("error ").unwrap_or_else(|| panic!("no error: {text}"));
        let (seconds, text) = told.trim().split_once(' ').unwrap();
        assert!(seconds.parse::<f64>().unwrap() < 30.0, "{seconds} s: {text}");
        text.to_owned()
    };
    told.iter().map(error).collect()
}

fn errors_of(what: &[&str], world_size: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    errors(&distil(folder.path(), what, world_size))
}

#[test]
fn an_error_of_one_ranks_data_ends_all_and_names_the_rank() {
    let [zero, one] = <[String; 2]>::try_from(errors_of(&["loader"], 2)).unwrap();
    assert_eq!(one, "epoch 0, batch 14: `.processed(…)` failed: the file ends here");
    assert_eq!(zero, format!("rank 0 of 2: `data of step 4`: rank 1 failed: {one}"));
}

#[test]
fn a_rank_that_dies_ends_all_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let told = distil(folder.path(), &["dies", "run"], 3);
    assert!(!told[1].0);
    for error in errors(&[told[0].clone(), told[2].clone()]) {
        assert!(error.contains("`data of step 4`: rank 1 gave no sign of life"), "{error}");
    }
    let names: Vec<String> = std::fs::read_dir(folder.path().join("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["step-3"]);
}

#[test]
fn a_loss_that_is_not_finite_on_one_rank_ends_all_or_is_skipped_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let [zero, one] = <[String; 2]>::try_from(errors(&distil(folder.path(), &["nan", "run"], 2))).unwrap();
    assert!(one.contains("epoch 0, batch 14") && !one.contains("rank"), "{one}");
    assert!(zero.starts_with("rank 0 of 2: `step 4`: rank 1 failed: "), "{zero}");
    assert!(folder.path().join("run/not-finite/step-4-batch-2.safetensors").exists());

    let [alone, several] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (folder, world_size) in [(&alone, 1), (&several, 3)] {
        let told = distil(folder.path(), &["nan", "skip"], world_size);
        assert!(told.iter().all(|(success, text)| *success && text.contains("end 50 ")), "{told:?}");
        let warning = told[0].1.lines().find(|line| line.contains("step 4")).unwrap();
        assert_eq!(warning.starts_with("warning rank 2: "), world_size == 3, "{warning}");
        assert_eq!(skipped_steps(&told[0].1), 1, "{told:?}");
    }
    assert!(difference(&student(alone.path(), 1), &student(several.path(), 3)) < 1e-6);
}

/// How many steps a run says it skipped.
fn skipped_steps(told: &str) -> u64 {
    let end = told.lines().last().unwrap();
    let skipped = end.split_once(") ").unwrap().1.split(' ').next().unwrap();
    skipped.parse().unwrap()
}

#[test]
fn a_signal_to_one_rank_ends_all_with_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    for error in errors(&distil(folder.path(), &["signal", "run"], 2)) {
        assert!(error.contains("stopped by a signal after optimizer step 4"), "{error}");
        assert!(error.contains("step-4"), "{error}");
    }
}

#[test]
fn ranks_that_train_something_else_are_refused_before_the_first_step() {
    for (what, expected) in [
        ("seed", "`seed` differs: 7 on ranks 0 and 2, 8 on rank 1"),
        ("plan", "temperature` differs: 2.0 on ranks 0 and 2, 3.0 on rank 1"),
        ("teacher", "`teachers[0].tensors (hash)` differs: "),
        ("rows", "`the first two rows of the data (hash)` differs: "),
        ("threads", "`threads of libtorch (OMP_NUM_THREADS)` differs: 1 on ranks 0 and 2, 2 on rank 1"),
    ] {
        for error in errors_of(&[what], 3) {
            assert!(
                error.contains("the ranks are not training the same") && error.contains(expected),
                "{error}"
            );
        }
    }
}

#[test]
fn what_ranks_cannot_divide_is_refused_by_name() {
    for error in errors_of(&["buffer"], 2) {
        assert!(error.contains("the student's buffer `seen` changes in training"), "{error}");
    }
}

#[test]
fn a_run_folder_that_cannot_be_written_ends_all_ranks() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: also an administrator cannot write it.
    std::fs::write(folder.path().join("run"), "a file").unwrap();
    std::fs::set_permissions(folder.path().join("run"), std::fs::Permissions::from_mode(0o400)).unwrap();
    let [zero, one] = <[String; 2]>::try_from(errors(&distil(folder.path(), &["run"], 2))).unwrap();
    assert!(zero.contains("run") && !zero.contains("rank"), "{zero}");
    assert!(one.starts_with("rank 1 of 2: `opening the run`: rank 0 failed: "), "{one}");
}

#[test]
fn a_metric_that_fails_ends_all_ranks_with_its_error_again_when_the_run_resumes() {
    let folder = tempfile::tempdir().unwrap();
    for start in ["first", "second"] {
        for error in errors(&distil(folder.path(), &["run", "metric"], 2)) {
            assert!(error.contains("nobody is sure of anything"), "{start}: {error}");
        }
    }
}

#[test]
fn a_rank_that_dies_during_an_evaluation_is_named_and_not_the_checkpoint_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let told = distil(folder.path(), &["run", "absent"], 2);
    assert!(!told[1].0);
    for error in errors(&told[..1]) {
        assert!(error.contains("`evaluation after step 10`: rank 1 gave no sign of life"), "{error}");
    }
}

#[test]
fn data_that_differs_without_saying_so_is_refused_at_the_first_step_with_other_batches() {
    for error in errors_of(&["longer", "steps"], 2) {
        assert!(
            error.contains(
                "rank 0 has the batches [(0, 0, 36), (0, 0, 37), (0, 1, 0), (0, 1, 1)] for step 10, rank 1 has [(0, 0, 36), (0, 0, 37), (0, 0, 38), (0, 1, 0)]"
            ),
            "{error}"
        );
    }
}

#[test]
fn students_that_compute_something_else_are_refused_whatever_parameters_they_list() {
    for what in [["start", "run"], ["statistics", "run"]] {
        let [zero, one] = <[String; 2]>::try_from(errors_of(&what, 2)).unwrap();
        for error in [&zero, &one] {
            assert!(error.contains("the student's outputs differ from those of rank 0"), "{error}");
        }
        assert!(zero.contains("rank 1 failed"), "{zero}");
        assert_eq!(zero.contains("step 3"), what[0] == "statistics", "{zero}");
    }
}
