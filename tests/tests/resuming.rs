//! Runs that are killed at any moment and resume: the student is the same to the last bit, nothing half-written is loaded,
//! and any changed byte is detected.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what was drawn is shown beside a failure")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{Dice, finished, newest, say};

fn start(folder: &Path, steps: u64, precision: &str) -> Child {
    tests::start(env!("CARGO_BIN_EXE_run_to_kill"), folder, steps, &[precision])
}

/// Every file of the student and of the last checkpoint's tensors, by name.
fn outcome(folder: &Path, steps: u64) -> BTreeMap<String, Vec<u8>> {
    let last = format!("checkpoints/step-{steps}");
    let files = ["student.safetensors", "projections.safetensors", "optimizer.safetensors"];
    let files = files.iter().map(|file| format!("{last}/{file}"));
    let files = files.chain(["student/model.safetensors".to_owned(), "projections.safetensors".to_owned()]);
    files.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect()
}

/// Whether a checkpoint is being written right now, or was interrupted.
fn half_written(folder: &Path) -> bool {
    let names = fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(".step-"))
}

/// Kills a run with SIGKILL this many times, starts it again each time, and compares the result with an uninterrupted
/// run's.
fn killed(start: impl Fn(&Path, u64) -> Child, times: u64, in_saves: u64) {
    let (alone, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let steps = times * 4;
    finished(start(alone.path(), steps));
    let mut dice = Dice::seeded();
    let (mut kills, mut kills_in_saves) = (0, 0);
    while kills < times {
        let before = newest(folder.path());
        let mut child = start(folder.path(), steps);
        // Each life makes at least a step, so that the run comes to its end.
        let patience = Instant::now();
        while newest(folder.path()) <= before {
            assert!(child.try_wait().unwrap().is_none(), "the run ended after {kills} kills of {times}");
            assert!(patience.elapsed() < Duration::from_secs(300), "a run makes no step");
            std::thread::yield_now();
        }
        // Every second time while a checkpoint is being written, else at any moment of the next steps.
        if kills % 2 == 0 {
            while !half_written(folder.path()) && child.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
        } else {
            std::thread::sleep(Duration::from_micros(dice.below(30_000)));
        }
        child.kill().unwrap();
        let mut told = String::new();
        child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
        child.wait().unwrap();
        assert!(
            !told.contains("warning a checkpoint cannot be used"),
            "half of a checkpoint was found: {told}"
        );
        kills += 1;
        kills_in_saves += u64::from(half_written(folder.path()));
    }
    let told = finished(start(folder.path(), steps));
    println!("{kills} kills, {kills_in_saves} of them inside a save; {}", told.trim());
    assert!(kills_in_saves >= in_saves, "only {kills_in_saves} kills hit a save");
    assert_eq!(outcome(alone.path(), steps), outcome(folder.path(), steps));
    let steps_of = |folder: &Path| -> Vec<(serde_json::Value, serde_json::Value)> {
        let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| (line["step"].clone(), line["losses"].clone())).collect()
    };
    assert_eq!(steps_of(alone.path()), steps_of(folder.path()), "every step is in the metrics once");
}

#[test]
fn a_run_that_is_killed_fifty_times_ends_as_if_it_had_not_been() {
    killed(|folder, steps| start(folder, steps, "f32"), 50, 10);
}

#[test]
fn a_run_in_bfloat16_that_is_killed_ends_as_if_it_had_not_been() {
    killed(|folder, steps| start(folder, steps, "bf16"), 6, 1);
}

// Eight packed rows per step of about 35 in all: every life ends in the middle of an epoch, or begins a new one.
#[test]
fn a_language_model_on_packed_rows_that_is_killed_ends_as_if_it_had_not_been() {
    killed(|folder, steps| tests::start(env!("CARGO_BIN_EXE_packed_to_kill"), folder, steps, &[]), 20, 4);
}

/// A run that was killed once it had three checkpoints.
fn unfinished() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let mut child = start(folder.path(), 400, "f32");
    while newest(folder.path()) < 4 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = folder.path().join(format!("checkpoints/step-{}", newest(folder.path())));
    (folder, newest)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// What a run that resumes this folder prints until it has said from where.
fn says_at_its_start(folder: &Path) -> String {
    let mut child = start(folder, 400, "f32");
    let (mut told, mut bytes) = (String::new(), [0; 256]);
    let out = child.stdout.as_mut().unwrap();
    while !told.contains("resumed") {
        let count = out.read(&mut bytes).unwrap();
        assert!(count > 0, "it ended after: {told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

#[test]
fn a_byte_that_changed_anywhere_in_a_checkpoint_is_noticed_and_the_one_before_it_used() {
    let (folder, newest) = unfinished();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let before = name[5..].parse::<u64>().unwrap() - 1;
    let mut dice = Dice::seeded();
    for file in ["student.safetensors", "projections.safetensors", "optimizer.safetensors", "state.json"] {
        for _ in 0..2 {
            let trial = TempDir::new().unwrap();
            copy(folder.path(), trial.path());
            let path = trial.path().join("checkpoints").join(name).join(file);
            let mut bytes = fs::read(&path).unwrap();
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << dice.below(8);
            fs::write(&path, bytes).unwrap();
            let told = says_at_its_start(trial.path());
            assert!(told.contains("warning a checkpoint cannot be used"), "byte {at} of {file}: {told}");
            assert!(told.contains(file) && told.contains(&format!("resumed {before}")), "{told}");
        }
    }
}

#[test]
fn a_run_of_something_else_is_refused_with_what_differs() {
    let (folder, _) = unfinished();
    let output = start(folder.path(), 300, "bf16").wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for part in [
        "a different, unfinished run",
        ".fresh()",
        "steps was 400, now it is 300",
        "precision was \"f32\", now it is \"bf16\"",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn two_processes_do_not_write_one_run() {
    let folder = TempDir::new().unwrap();
    let mut first = start(folder.path(), 400, "f32");
    while newest(folder.path()) < 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = start(folder.path(), 400, "f32").wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!second.status.success() && told.contains("another process is writing a run"), "{told}");
}

#[test]
fn a_signal_writes_a_checkpoint_and_the_run_resumes_from_it() {
    let folder = TempDir::new().unwrap();
    let child = start(folder.path(), 60, "f32");
    while newest(folder.path()) < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("stopped by a signal after optimizer step"), "{told}");
    let saved = newest(folder.path());
    assert!(told.contains(&format!("step-{saved}")), "{told}");
    let told = finished(start(folder.path(), 60, "f32"));
    assert!(told.contains(&format!("resumed {saved}")), "{told}");
}

/// The same with files limited to 64 KiB, as on a full disk: the system then refuses the rest of a file. The student alone
/// has 95 KiB.
fn start_on_a_full_disk(folder: &Path, steps: u64) -> Child {
    Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_run_to_kill")])
        .arg(folder)
        .args([&steps.to_string(), "f32"])
        .env("OMP_NUM_THREADS", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_full_disk_costs_checkpoints_and_neither_the_run_nor_what_was_saved() {
    if !Command::new("bash").args(["-c", "ulimit -f 64"]).status().is_ok_and(|status| status.success()) {
        say(
            "a_full_disk_costs_checkpoints_and_neither_the_run_nor_what_was_saved",
            "skipped: there is no bash that can limit the size of files",
        );
        return;
    }
    const STEPS: u64 = 24;
    let (whole, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    finished(start(whole.path(), STEPS, "f32"));
    let mut child = start(folder.path(), STEPS, "f32");
    while newest(folder.path()) < 4 {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let good = newest(folder.path());
    assert!(good < STEPS, "it was killed before its end");

    let told = finished(start_on_a_full_disk(folder.path(), STEPS));
    assert!(told.contains(&format!("resumed {good}")), "{told}");
    for step in good + 1..=STEPS {
        assert!(
            told.contains(&format!("warning could not write the checkpoint of step {step}: ")),
            "step {step}: {told}"
        );
    }
    assert!(told.contains("cannot be written: File too large"), "{told}");
    assert!(told.contains("the previous checkpoint is kept"), "{told}");
    assert!(told.contains("warning could not write to the run folder: "), "the student: {told}");
    assert!(!half_written(folder.path()) && newest(folder.path()) == good);

    // With room again, the run is made to its end: it was not over without its student.
    let told = finished(start(folder.path(), STEPS, "f32"));
    assert!(told.contains(&format!("resumed {good}")) && !told.contains("warning"), "{told}");
    assert_eq!(outcome(folder.path(), STEPS), outcome(whole.path(), STEPS));
}
