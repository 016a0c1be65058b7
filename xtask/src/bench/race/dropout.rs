//! Tests that the student of both peers drops from its first step on, and that a side whose student does not is
//! refused.
//!
//! The interpreter is `BREW_PYTHON`, or `python3`. Without TextBrewer only the expert's side is tested, and without
//! PyTorch neither; the test says so.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::pythons::{OF_TEXTBREWER, OF_THE_EXPERT};
use super::sides::{EXPERT, TEXTBREWER};
use crate::bench::measured::{parsed, python};

/// Prints a line that the test runner does not capture, unlike `eprintln!`.
fn say(line: &str) {
    std::io::stderr().write_all(format!("race: {line}\n").as_bytes()).unwrap();
}

/// A program with a fault in it.
#[track_caller]
fn with_fault(program: &str, from: &str, to: &str) -> String {
    assert_eq!(program.matches(from).count(), 1, "`{from}`");
    program.replace(from, to)
}

/// The programs to run, by name, as far as there is a Python for them.
fn programs(textbrewer: bool) -> Vec<(&'static str, String)> {
    let undropped = |program: &str| {
        let nothing = "from_pretrained(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, ";
        with_fault(program, "from_pretrained(folder, ", nothing)
    };
    let mut programs = vec![
        ("expert", EXPERT.to_owned()),
        ("expert, nothing dropped", undropped(EXPERT)),
        ("expert without dropout", with_fault(EXPERT, "student.train()\nevaluations", "evaluations")),
        ("expert without dropout later", with_fault(EXPERT, "        model.train(training)\n", "")),
        (
            "expert that loses rows",
            with_fault(EXPERT, "in batches[epoch]:", "in (b[:7] for b in batches[epoch]):"),
        ),
        ("expert with other tokens", with_fault(EXPERT, "max_length=config[\"length\"]", "max_length=3")),
    ];
    if textbrewer {
        programs.push(("textbrewer", TEXTBREWER.to_owned()));
        let without = with_fault(TEXTBREWER, "with distiller:", "if True:");
        programs.push(("textbrewer without its context", without));
        programs.push(("textbrewer, nothing dropped", undropped(TEXTBREWER)));
    }
    programs
}

/// The student dropped in all steps, and a probe showed it at the first step of each epoch.
#[track_caller]
fn assert_drops(said: &Value) {
    assert_eq!(said["dropout"]["passes"], 12, "{said}");
    assert_eq!(said["evaluations"][1]["step"], 12, "{said}");
    // 45 rows, twice.
    assert_eq!(said["examples"], 90, "{said}");
    let probes = said["probes"].as_array().unwrap();
    assert_eq!(probes.iter().map(|probe| probe["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 7]);
    for probe in probes {
        assert_eq!(probe["passes_differ"], true, "{probe}");
        let [loss, quiet] = ["loss", "loss_in_evaluation_mode"].map(|key| probe[key].as_f64().unwrap());
        assert!((loss - quiet).abs() > 1e-6, "{probe}");
    }
}

#[test]
fn the_student_of_each_peer_drops_from_its_first_step_on_and_one_that_does_not_is_refused() {
    let (python, textbrewer) = match (python(OF_TEXTBREWER), python(OF_THE_EXPERT)) {
        (Ok(python), _) => (python, true),
        (Err(why), Ok(python)) => {
            say(&format!("TEXTBREWER'S SIDE IS NOT TESTED: {why}"));
            (python, false)
        }
        (Err(_), Err(why)) => return say(&format!("NEITHER PEER IS TESTED: {why}")),
    };
    let folder = std::env::temp_dir().join(format!("brew-xtask-{}-dropout", std::process::id()));
    fs::create_dir_all(folder.join("programs")).unwrap();
    for (name, text) in programs(textbrewer) {
        fs::write(folder.join("programs").join(format!("{name}.py")), text).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/race/dropout.py");
    let said = parsed(Command::new(python).arg(script).arg(&folder)).unwrap();
    let refused = |name: &str, why: &str| {
        let refusal = said[name]["refused"].as_str().unwrap_or_default();
        assert!(refusal.contains(why), "{name}: {}", said[name]);
    };
    assert_drops(&said["expert"]);
    refused("expert without dropout", "step 1: the student trains without dropout");
    refused("expert without dropout later", "step 7: the student trains without dropout");
    refused("expert with other tokens", "train: the tokens or labels differ");
    // It reports what it trained on, which `fair` compares: batches of 7, 7, 7, 7, 7, and 5 rows, twice.
    assert_eq!(said["expert that loses rows"]["examples"], 80, "{said}");
    // The probe detects a student without dropout; there the peers' losses are equal.
    let quiet = |name: &str| {
        let probe = &said[name]["probes"][1];
        assert_eq!(probe["passes_differ"], false, "{name}: {}", said[name]);
        probe["loss"].as_f64().unwrap()
    };
    let of_expert = quiet("expert, nothing dropped");
    if textbrewer {
        assert!((quiet("textbrewer, nothing dropped") - of_expert).abs() < 1e-5, "{said}");
        assert_drops(&said["textbrewer"]);
        refused("textbrewer without its context", "step 1: the student trains without dropout");
    }
    fs::remove_dir_all(&folder).unwrap();
}
