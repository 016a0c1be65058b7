//! Folders as transformers saves them, with settings of every kind: brew computes what transformers
//! computes, and transformers opens what brew saves of them and computes the same.
//!
//! `BREW_SWEEP=400 BREW_PYTHON=… cargo test -p tests --test bert sweep -- --nocapture` tries 400 folders; by default
//! there are 25, one per architecture and head. The folders in `fixtures/folders` are tried even without transformers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brew_core::model::{BertForMaskedLm, BertForQuestionAnswering, BertForTokenClassification, BertModel};
use brew_core::pass::Wants;
use brew_core::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tests::{Sweep, off, python, read_tensors, say, wants};

use super::folders::write;
use super::support::optional;
use super::transformers_reads_it::IMPORTS;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/folders")
}

/// A folder that `sweep.py` made.
#[derive(Debug, Deserialize)]
struct Case {
    folder: String,
    family: String,
    head: String,
    /// What the error says, if the folder must be rejected.
    refused: Option<String>,
    about: String,
}

/// What a model computes of the inputs: the last hidden state, and the logits as `sweep.py` lays them.
struct Computed {
    hidden: Tensor,
    logits: Option<Tensor>,
    loss: Option<Tensor>,
}

impl Computed {
    fn new(hidden: Tensor, logits: Tensor) -> Self {
        Computed { hidden, logits: Some(logits), loss: None }
    }
}

/// What brew computes with a folder, and what it saves of it.
fn computed(folder: &Path, head: &str) -> Result<Computed> {
    let golden = read_tensors(&folder.join("golden.safetensors"));
    let (ids, mask) = (&golden["input_ids"], &golden["attention_mask"]);
    let types = optional(&golden, "token_type_ids");
    let pass = Pass::evaluation(Wants::nothing().and_role("hidden"));
    let saved = folder.join("saved");
    let last = |states: Vec<Tensor>| states.into_iter().next_back().expect("a hidden state");
    Ok(match head {
        "token" => {
            let model = BertForTokenClassification::from_pretrained(folder, Device::Cpu)?;
            model.save(&saved)?;
            let output = model.forward(ids, mask, types.as_ref(), None, &pass)?;
            Computed::new(last(output.hidden_states), output.logits)
        }
        "question" => {
            let model = BertForQuestionAnswering::from_pretrained(folder, Device::Cpu)?;
            model.save(&saved)?;
            let output = model.forward(ids, mask, types.as_ref(), None, None, &pass)?;
            let logits = Tensor::cat(&[output.start_logits, output.end_logits], 0);
            Computed::new(last(output.hidden_states), logits)
        }
        "masked" => {
            let model = BertForMaskedLm::from_pretrained(folder, Device::Cpu)?;
            model.save(&saved)?;
            let labels = Some(&golden["labels"]);
            let pass = Pass::evaluation(wants(&["hidden", "logits", "losses"]));
            let output = model.forward(ids, mask, types.as_ref(), labels, &pass)?;
            Computed { hidden: last(output.hidden_states), logits: Some(output.logits), loss: output.loss }
        }
        "none" => {
            let model = BertModel::from_pretrained(folder, Device::Cpu)?;
            model.save(&saved)?;
            let output = model.forward(ids, mask, types.as_ref(), &pass)?;
            Computed { hidden: last(output.hidden_states), logits: None, loss: None }
        }
        _ => {
            let model = BertForSequenceClassification::from_pretrained(folder, Device::Cpu)?;
            model.save(&saved)?;
            let output = model.forward(ids, mask, types.as_ref(), None, &pass)?;
            Computed::new(last(output.hidden_states), output.logits)
        }
    })
}

/// What is wrong with how brew reads a folder; notes what it computed beside what it saved.
fn problem(folder: &Path, head: &str, refused: Option<&str>) -> Option<String> {
    let computed = match (computed(folder, head), refused) {
        (Err(error), Some(reason)) if error.to_string().contains(reason) => return None,
        (Err(error), _) => return Some(error.to_string()),
        (Ok(_), Some(_)) => return Some("it is not refused".to_owned()),
        (Ok(computed), None) => computed,
    };
    let golden = read_tensors(&folder.join("golden.safetensors"));
    let Computed { hidden, logits, loss } = computed;
    let ours = [("hidden", Some(hidden)), ("logits", logits), ("loss", loss)];
    let ours = ours.into_iter().filter_map(|(name, tensor)| Some((name.to_owned(), tensor?)));
    let ours: BTreeMap<String, Tensor> = ours.collect();
    let wanted: Vec<&str> =
        ["hidden", "logits", "loss"].into_iter().filter(|name| golden.contains_key(*name)).collect();
    if !ours.keys().eq(&wanted) {
        return Some(format!("it gives {:?}, and transformers {wanted:?}", ours.keys().collect::<Vec<_>>()));
    }
    let found: Vec<(&String, f64)> =
        ours.iter().map(|(name, tensor)| (name, off(tensor, &golden[name]))).collect();
    if let Some(other) = under_a_new_head(folder, head, &golden) {
        return Some(other);
    }
    write(&folder.join("saved/ours.safetensors"), &ours);
    let far = found.into_iter().find(|(_, off)| off.is_nan() || *off >= 1e-5);
    far.map(|(what, off)| format!("{what} is off by {off:e}")).or_else(|| opened_as_others(folder, head))
}

/// What is wrong with an encoder under a new head for sequences.
fn under_a_new_head(folder: &Path, head: &str, golden: &BTreeMap<String, Tensor>) -> Option<String> {
    if !["masked", "none"].contains(&head) {
        return None;
    }
    let model = match BertForSequenceClassification::from_encoder(folder, 3, 7, Device::Cpu) {
        Ok(model) => model,
        Err(error) => return Some(error.to_string()),
    };
    let pass = Pass::evaluation(Wants::nothing().and_layer("hidden", -1));
    let types = optional(golden, "token_type_ids");
    let (ids, mask) = (&golden["input_ids"], &golden["attention_mask"]);
    let states = model.forward(ids, mask, types.as_ref(), None, &pass).unwrap().hidden_states;
    let off = off(&states[states.len() - 1], &golden["hidden"]);
    (off.is_nan() || off >= 1e-5).then(|| format!("under a new head it is off by {off:e}"))
}

/// What is wrong with how a folder is refused by the types of the other heads.
fn opened_as_others(folder: &Path, head: &str) -> Option<String> {
    let device = Device::Cpu;
    let refusals = [
        ("sequence", "Sequence", BertForSequenceClassification::from_pretrained(folder, device).err()),
        ("token", "Token", BertForTokenClassification::from_pretrained(folder, device).err()),
        ("question", "Question", BertForQuestionAnswering::from_pretrained(folder, device).err()),
        ("masked", "Masked", BertForMaskedLm::from_pretrained(folder, device).err()),
    ];
    let own = match head {
        "sequence" => "load it with BertForSequenceClassification::from_pretrained",
        "token" => "load it with BertForTokenClassification::from_pretrained",
        "question" => "load it with BertForQuestionAnswering::from_pretrained",
        "masked" => "load it with BertForMaskedLm::from_pretrained",
        _ => "an encoder without a head",
    };
    // Without `architectures` in the config, a classifier of sequences may be a tagger with a pooler.
    let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json")).ok()?).ok()?;
    let unnamed = config.get("architectures").is_none();
    refusals.into_iter().find_map(|(asked, name, refusal)| match refusal {
        _ if asked == head => None,
        None if unnamed => None,
        None => Some(format!("it opens as BertFor{name}…")),
        Some(error) if error.to_string().contains(own) => None,
        Some(error) => Some(format!("as BertFor{name}…: {error}")),
    })
}

#[test]
fn a_sweep_of_folders_computes_what_transformers_computes_both_ways() {
    let test = "a_sweep_of_folders_computes_what_transformers_computes_both_ways";
    let Some(python) = python(test, IMPORTS) else { return };
    let folder = TempDir::new().unwrap();
    let script = fixtures().join("sweep.py");
    let sweep = Sweep { python: &python, script: &script, folder: folder.path() };
    let cases: Vec<Case> = sweep.make("25");
    let count = cases.len();
    let (mut counts, mut reasons): (BTreeMap<String, [usize; 2]>, BTreeMap<&str, usize>) = Default::default();
    let mut problems = Vec::new();
    for case in &cases {
        let found = problem(&folder.path().join(&case.folder), &case.head, case.refused.as_deref());
        if let Some(found) = found {
            problems.push(format!("{} {} {}: {found}", case.family, case.head, case.about));
            continue;
        }
        let refused = case.refused.as_deref().inspect(|reason| *reasons.entry(reason).or_default() += 1);
        counts.entry(format!("{} {}", case.family, case.head)).or_default()
            [usize::from(refused.is_some())] += 1;
    }
    assert!(problems.is_empty(), "{} of {count}:\n{}", problems.len(), problems.join("\n"));

    let opened: usize = counts.values().map(|[equal, _]| equal).sum();
    sweep.check_saved(opened);
    for (what, [equal, refused]) in &counts {
        say(
            test,
            &format!("{what}: {equal} opened and equal both ways, {refused} refused as they should be"),
        );
    }
    say(test, &format!("{opened} of {count} opened and equal both ways; refused: {reasons:?}"));
}

// Made by `sweep.py fixtures`, transformers 5.24.0.
#[test]
fn folders_that_transformers_saved_compute_what_it_computes() {
    for (case, head) in [
        ("xlm_roberta", "sequence"),
        ("camembert", "token"),
        ("roberta_in_a_module", "sequence"),
        ("distilbert_reader", "question"),
        ("bert_masked", "masked"),
        ("bert_tagger", "token"),
        ("bert_encoder", "none"),
    ] {
        let folder = TempDir::new().unwrap();
        for file in std::fs::read_dir(fixtures().join(case)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        assert_eq!(problem(folder.path(), head, None), None, "{case}");
    }
}
