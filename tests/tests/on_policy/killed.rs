//! A run whose student writes its own rows is killed with SIGKILL, while it writes too, and ends as if it had not been.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use tempfile::TempDir;
use tests::{Dice, finished, newest};

fn start(folder: &Path, steps: u64) -> Child {
    tests::start(env!("CARGO_BIN_EXE_on_policy_to_kill"), folder, steps, &[])
}

/// What a finished run leaves: its student and its optimizer, and the losses of every step.
fn outcome(folder: &Path, steps: u64) -> (BTreeMap<String, Vec<u8>>, Vec<serde_json::Value>) {
    let files = ["student.safetensors", "optimizer.safetensors"];
    let files = files.map(|file| format!("checkpoints/step-{steps}/{file}"));
    let files = files.into_iter().chain(["student/model.safetensors".to_owned()]);
    let bytes = files.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect();
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    (bytes, lines.map(|line| line["losses"].clone()).collect())
}

#[test]
fn a_run_that_is_killed_twenty_times_also_while_the_student_writes_ends_as_if_it_had_not_been() {
    const KILLS: u64 = 20;
    let (alone, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let steps = KILLS * 4;
    finished(start(alone.path(), steps));
    let (mut dice, mut while_writing) = (Dice::seeded(), 0);
    for kill in 0..KILLS {
        let before = newest(folder.path());
        let mut child = start(folder.path(), steps);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each life makes at least a step; the next one is killed while the student writes, or a moment later.
        let mut begins = || lines.by_ref().find(|line| line.as_ref().unwrap() == "writing");
        while newest(folder.path()) <= before {
            assert!(begins().is_some(), "the run ended after {kill} kills of {KILLS}");
        }
        assert!(begins().is_some(), "the run ended after {kill} kills of {KILLS}");
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.map(std::result::Result::unwrap).last();
        while_writing += u64::from(last.is_none_or(|line| line == "writing"));
    }
    assert!(while_writing >= 3, "only {while_writing} of {KILLS} kills were while the student wrote");
    finished(start(folder.path(), steps));
    assert_eq!(outcome(alone.path(), steps), outcome(folder.path(), steps));
}
