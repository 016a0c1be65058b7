//! Runs with a teacher cache that are killed at any moment and resume: the student is the same to the last bit, whether the
//! cache is in memory, on disk, on disk in a lower precision, or has only the greatest logits.
//!
//! `BREW_KILLS=50` kills each run fifty times instead of a few.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what was drawn is shown beside a failure")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{Dice, finished, newest};

fn start(folder: &Path, steps: u64, cache: &str) -> Child {
    start_with(folder, steps, &[cache])
}

/// The same with more arguments: a cache, and a teacher.
fn start_with(folder: &Path, steps: u64, arguments: &[&str]) -> Child {
    tests::start(env!("CARGO_BIN_EXE_cached_to_kill"), folder, steps, arguments)
}

/// The student, the last checkpoint's tensors, and the losses of every step.
fn outcome(folder: &Path, steps: u64) -> BTreeMap<String, Vec<u8>> {
    let last = format!("checkpoints/step-{steps}");
    let files = ["student.safetensors", "optimizer.safetensors"].map(|file| format!("{last}/{file}"));
    let files = files.into_iter().chain(["student/model.safetensors".to_owned()]);
    let mut outcome: BTreeMap<_, _> =
        files.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect();
    for line in fs::read_to_string(folder.join("metrics.jsonl")).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let told =
            outcome.insert(format!("losses of step {}", line["step"]), line["losses"].to_string().into());
        assert!(told.is_none(), "step {} is told twice", line["step"]);
    }
    outcome
}

/// Kills a run with SIGKILL this many times, starts it again each time, and compares the result with an uninterrupted
/// run's.
fn killed(cache: &str) {
    let times = std::env::var("BREW_KILLS").map_or(5, |times| times.parse().unwrap());
    let steps = (times + 1) * 12;
    let (alone, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let told = finished(start(alone.path(), steps, cache));
    // The second epoch reads what the first one kept.
    assert!(told.lines().any(|line| line == format!("cache {} found, 0 computed", steps / 2 * 5)), "{told}");
    let mut dice = Dice::seeded();
    let mut middle = 0;
    for kill in 1..=times {
        let before = newest(folder.path());
        let mut child = start(folder.path(), steps, cache);
        let patience = Instant::now();
        // At least two steps, and so many that the kills lie all over the run.
        while newest(folder.path()) < (before + 2).max(kill * steps / (times + 2)) {
            assert!(child.try_wait().unwrap().is_none(), "the run ended after {kill} kills");
            assert!(patience.elapsed() < Duration::from_secs(300), "a run makes no step");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(dice.below(15_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        middle += u64::from(newest(folder.path()) < steps / 2);
    }
    assert!(newest(folder.path()) < steps, "the run was over before the last kill");
    let told = finished(start(folder.path(), steps, cache));
    println!("{cache}: {times} kills, {middle} of them in the epoch that fills the cache; {}", told.trim());
    assert!(!told.contains("warning"), "{told}");
    let (alone, resumed) = (outcome(alone.path(), steps), outcome(folder.path(), steps));
    let differ: Vec<_> = alone.iter().filter(|(name, bytes)| resumed.get(*name) != Some(bytes)).collect();
    let names: Vec<_> = differ.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.is_empty() && alone.len() == resumed.len(), "{cache}: not the same: {names:?}");
}

#[test]
fn a_run_with_a_cache_in_memory_that_is_killed_ends_as_if_it_had_not_been() {
    killed("memory");
}

#[test]
fn a_run_with_a_cache_on_disk_that_is_killed_ends_as_if_it_had_not_been() {
    killed("float32");
}

#[test]
fn a_run_with_a_cache_in_bfloat16_that_is_killed_ends_as_if_it_had_not_been() {
    killed("bfloat16");
}

#[test]
fn a_run_with_a_cache_of_the_greatest_logits_that_is_killed_ends_as_if_it_had_not_been() {
    killed("top-k");
}

#[test]
fn a_run_that_resumes_with_another_payload_or_another_teacher_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut child = start(folder.path(), 240, "bfloat16");
    while newest(folder.path()) < 2 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for (arguments, expected) in [
        (["memory", "roberta/sequence"], "teacher_cache was \"BFloat16, all logits\", now it is"),
        (["memory", "distilbert/sequence"], "teachers[0].tensors (hash) was \""),
    ] {
        let output = start_with(folder.path(), 240, &arguments).wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}
