//! A rank that is gone, late, or does something else ends the others within seconds, with an error that names it.

use std::process::Child;
use std::time::Duration;

use tests::{Meeting, printed};

use super::PROGRAM;

/// The seconds until the error of a rank, and its text.
fn error(told: &str) -> (f64, &str) {
    let (seconds, text) = told.trim().split_once(' ').unwrap_or_else(|| panic!("no error: {told:?}"));
    (seconds.parse().unwrap(), text)
}

#[test]
fn a_rank_that_dies_is_named_to_the_others() {
    let told = printed(Meeting::new().start_all(PROGRAM, &["dies"], 3));
    for rank in [0, 2] {
        let (seconds, text) = error(&told[rank]);
        assert!(seconds < 8.0, "{seconds} s: {text}");
        assert!(
            text.starts_with(&format!("rank {rank} of 3: `all_reduce`: rank 1 gave no sign of life")),
            "{text}"
        );
    }
}

#[test]
fn a_rank_that_hangs_ends_the_others_after_the_timeout() {
    let mut children = Meeting::new().start_all(PROGRAM, &["hangs"], 3);
    let mut hanging = children.remove(1);
    let told = printed(children);
    hanging.kill().unwrap();
    hanging.wait().unwrap();
    for told in &told {
        let (seconds, text) = error(told);
        assert!((1.5..9.0).contains(&seconds), "{seconds} s: {text}");
        assert!(text.contains("`all_reduce`: rank 1 gave no sign of life"), "{text}");
    }
}

#[test]
fn ranks_that_make_different_calls_all_learn_how_they_differ() {
    for (scenario, difference) in [
        ("other-call", "`all_reduce` of 1 tensors on ranks 0 and 2, `barrier` of 0 tensors on rank 1"),
        (
            "other-shape",
            "tensor 0 is Float (2) on Cpu on ranks 0 and 2, tensor 0 is Float (3) on Cpu on rank 1",
        ),
        ("undefined", "tensor 0 is undefined: only dense tensors on the CPU are supported"),
    ] {
        for told in printed(Meeting::new().start_all(PROGRAM, &[scenario], 3)) {
            let (_, text) = error(&told);
            assert!(text.contains(difference), "{scenario}: {text}");
        }
    }
}

#[test]
fn a_gradient_that_cannot_be_summed_is_named_on_all_ranks() {
    for told in printed(Meeting::new().start_all(PROGRAM, &["layouts"], 3)) {
        let (_, text) = error(&told);
        let expected =
            "`sum_gradients`: the gradient of `embedding` is dense on ranks 0 and 2 and sparse on rank 1";
        assert!(text.contains(expected), "{text}");
    }
    let told = printed(Meeting::new().start_all(PROGRAM, &["fewer"], 2));
    assert!(told[0].contains("rank 1 has 0 parameters, this one 1"), "{}", told[0]);
    assert!(told[1].contains("rank 0 has 1 parameters, this one 0"), "{}", told[1]);
}

#[test]
fn what_ranks_must_have_in_common_is_compared_before_they_connect() {
    let told = printed(Meeting::new().start_all(PROGRAM, &["other-seed"], 3));
    for told in &told {
        let (_, text) = error(told);
        assert!(
            text.ends_with("the ranks cannot start: `seed` differs: 7 on ranks 0 and 2, 8 on rank 1"),
            "{text}"
        );
    }
}

/// Ranks as (rank, world size) on one meeting place.
fn with_sizes(scenario: &str, ranks: &[(usize, usize)]) -> Vec<String> {
    let meeting = Meeting::new();
    let start = |(rank, size): &(usize, usize)| {
        let child = meeting.start(PROGRAM, &[scenario], *rank, *size);
        std::thread::sleep(Duration::from_millis(100));
        child
    };
    printed(ranks.iter().map(start).collect::<Vec<Child>>())
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let told = with_sizes("meets", &[(0, 3), (1, 3)]);
    for told in &told {
        let (seconds, text) = error(told);
        assert!(seconds < 8.0, "{seconds} s: {text}");
        assert!(text.contains("rank 2 did not join within 1.5 s"), "{text}");
    }
}

#[test]
fn two_processes_of_one_rank_are_refused() {
    let told = with_sizes("meets-late", &[(0, 3), (1, 3), (1, 3)]);
    for told in &told {
        assert!(told.contains("both say that they are rank 1"), "{told}");
    }
}

#[test]
fn ranks_that_disagree_about_their_number_are_refused() {
    let told = with_sizes("meets-late", &[(0, 2), (1, 3)]);
    for told in &told {
        assert!(told.contains("`world size` differs: 2 on rank 0, 3 on rank 1"), "{told}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    // Without the inherited socket, rank 0 wants a port that the meeting holds.
    let meeting = Meeting::new();
    let told = printed(vec![meeting.start_without_socket(PROGRAM, &["meets"], 2)]);
    let (_, text) = error(&told[0]);
    assert!(text.contains("EADDRINUSE") && text.contains("MASTER_PORT"), "{text}");
}
