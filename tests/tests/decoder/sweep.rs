//! Folders as transformers saves them, with settings of every kind: brew computes what transformers computes, and
//! transformers opens what brew saves of them and computes the same.
//!
//! `BREW_SWEEP=400 BREW_PYTHON=… cargo test -p tests --test decoder sweep -- --nocapture` tries 400 folders; by default
//! there are 16, two per architecture.

use std::collections::BTreeMap;
use std::path::Path;

use brew_core::model::DecoderForCausalLm;
use brew_core::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;
use tests::{Sweep, off, python, read_tensors, say, wants};

use super::support::{fixture, off_at_tokens};

/// A folder that `sweep.py` made.
#[derive(Debug, Deserialize)]
struct Case {
    folder: String,
    family: String,
    /// What the error says, if the folder must be rejected.
    refused: Option<String>,
    about: String,
}

/// What is wrong with how brew reads a folder; notes what it computed beside what it saved.
fn problem(folder: &Path, refused: Option<&str>) -> Option<String> {
    let model = match (DecoderForCausalLm::from_pretrained(folder, Device::Cpu), refused) {
        (Err(error), Some(reason)) if error.to_string().contains(reason) => return None,
        (Err(error), _) => return Some(error.to_string()),
        (Ok(_), Some(_)) => return Some("it is not refused".to_owned()),
        (Ok(model), None) => model,
    };
    let golden = read_tensors(&folder.join("golden.safetensors"));
    let (ids, mask, labels) = (&golden["input_ids"], &golden["attention_mask"], &golden["labels"]);
    let run = |roles: &[&str]| model.forward(ids, mask, Some(labels), &Pass::evaluation(wants(roles)));
    let tolerance = 1e-5 + 4.0 * golden["rounding"].double_value(&[]);
    let mut far = Vec::new();
    let roles = ["logits", "hidden", "losses"];
    for roles in [&roles[..], &[&roles[..], &["attention"]].concat()] {
        let output = match run(roles) {
            Ok(output) => output,
            Err(error) => return Some(error.to_string()),
        };
        let last = &output.hidden_states[output.hidden_states.len() - 1];
        for (what, off) in [
            ("logits", off_at_tokens(&output.logits, &golden["logits"], mask)),
            ("hidden", off_at_tokens(last, &golden["hidden"], mask)),
            ("loss", off(&output.loss.unwrap(), &golden["loss"].nan_to_num(0.0, 0.0, 0.0))),
        ] {
            if !matches!(off.partial_cmp(&tolerance), Some(std::cmp::Ordering::Less)) {
                far.push(format!("{what} is off by {off:e} with {roles:?}"));
            }
        }
    }
    let saved = folder.join("saved");
    model.save(&saved).unwrap();
    let output = run(&["logits", "hidden"]).unwrap();
    let last = output.hidden_states.last().unwrap();
    let ours = [("logits", &output.logits), ("hidden", last)];
    Tensor::write_safetensors(&ours, saved.join("ours.safetensors")).unwrap();
    (!far.is_empty()).then(|| far.join("; "))
}

#[test]
fn a_sweep_of_folders_computes_what_transformers_computes_both_ways() {
    let test = "a_sweep_of_folders_computes_what_transformers_computes_both_ways";
    let Some(python) = python(test, "import torch, transformers, safetensors") else { return };
    let folder = TempDir::new().unwrap();
    let script = fixture("sweep.py");
    let sweep = Sweep { python: &python, script: &script, folder: folder.path() };
    let cases: Vec<Case> = sweep.make("16");
    let count = cases.len();
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut problems = Vec::new();
    for case in &cases {
        if let Some(found) = problem(&folder.path().join(&case.folder), case.refused.as_deref()) {
            problems.push(format!("{} {} {}: {found}", case.folder, case.family, case.about));
            continue;
        }
        counts.entry(&case.family).or_default()[usize::from(case.refused.is_some())] += 1;
    }
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n"));

    let opened: usize = counts.values().map(|[equal, _]| equal).sum();
    sweep.check_saved(opened);
    say(test, &format!("{opened} of {count} opened and equal both ways; (opened, refused): {counts:?}"));
}
