//! Adapters as peft saves them, with settings of every kind: brew computes what peft computes, and peft opens what brew
//! saves of them and computes the same.
//!
//! `BREW_SWEEP=400 BREW_PYTHON=… cargo test -p tests --test adapters sweep -- --nocapture` tries 400; by default there
//! are 24, two per base.

use std::path::Path;

use brew_core::model::Lora;
use brew_core::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;
use tests::{Sweep, python, read_tensors, say};

use super::support::{Any, differences, fixture};

/// An adapter that `adapters.py` made.
#[derive(Debug, Deserialize)]
struct Case {
    folder: String,
    base: String,
    about: String,
}

/// The settings that the script was asked for: those that peft was given, in its words.
#[derive(Deserialize)]
struct Asked {
    r: i64,
    lora_alpha: f64,
    lora_dropout: f64,
    use_rslora: bool,
    target_modules: Option<serde_json::Value>,
    modules_to_save: Option<Vec<String>>,
}

impl Asked {
    fn lora(self) -> Lora {
        let lora = Lora::rank(self.r).alpha(self.lora_alpha).dropout(self.lora_dropout);
        let lora = lora.modules_to_save(self.modules_to_save.unwrap_or_default());
        let lora = if self.use_rslora { lora.rs_lora() } else { lora };
        match self.target_modules {
            None => lora,
            Some(serde_json::Value::String(_)) => lora.all_linear(),
            Some(list) => lora.targets(serde_json::from_value::<Vec<String>>(list).unwrap()),
        }
    }
}

/// What is wrong with how brew reads a folder; saves what it read, and the same as an adapter of its own.
fn problem(place: &Path, case: &Case) -> Result<Vec<String>> {
    let golden = read_tensors(&place.join("golden.safetensors"));
    let loaded = Any::base(&case.base).load_adapter(&place.join("peft"))?;
    let problems = differences(&loaded, &case.base, &golden);
    loaded.model().save(&place.join("loaded"))?;
    let asked: Asked = serde_json::from_str(&case.about).unwrap();
    let fresh = Any::base(&case.base).with_lora(asked.lora(), 1)?;
    let (from, to) = (loaded.model().parameters(), fresh.model().parameters());
    let _guard = brew_core::tch::no_grad_guard();
    assert!(from.iter().map(|(name, _)| name).eq(to.iter().map(|(name, _)| name)), "{}", case.about);
    for ((_, from), (_, to)) in from.iter().zip(to.iter()) {
        to.shallow_clone().copy_(from);
    }
    fresh.model().save(&place.join("fresh"))?;
    Ok(problems)
}

#[test]
fn a_sweep_of_adapters_computes_what_peft_computes_both_ways() {
    let test = "a_sweep_of_adapters_computes_what_peft_computes_both_ways";
    let Some(python) = python(test, "import torch, transformers, safetensors, peft") else { return };
    let folder = TempDir::new().unwrap();
    let script = fixture("adapters/adapters.py");
    let sweep = Sweep { python: &python, script: &script, folder: folder.path() };
    let cases: Vec<Case> = sweep.make("24");
    let mut problems = Vec::new();
    for case in &cases {
        let found = problem(&folder.path().join(&case.folder), case);
        let found = found.unwrap_or_else(|error| vec![error.to_string()]);
        if !found.is_empty() {
            problems.push(format!("{} {} {}: {}", case.folder, case.base, case.about, found.join("; ")));
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), cases.len(), problems.join("\n"));
    sweep.check_saved(cases.len());
    say(test, &format!("{} adapters equal both ways", cases.len()));
}
