//! A run that is stopped and resumed, compared with one that was not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use brew_core::observe::{Event, Observer};
use brew_core::prelude::*;
use brew_core::train::Trains;
use safetensors::SafeTensors;
use serde_json::Value;
use tests::killed_at;

/// Optimizer steps of a run.
pub(crate) const STEPS: u64 = 7;

/// The step after which it is stopped: in the middle of an epoch of four batches.
pub(crate) const STOP: u64 = 3;

pub(crate) struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

/// A run in a folder that ends after this many steps as if it had been killed.
pub(crate) fn in_folder<'o, P: Trains>(
    trainer: Trainer<'o, P>,
    folder: &Path,
    stop: Option<u64>,
) -> Trainer<'o, P> {
    trainer
        .steps(STEPS)
        .seed(11)
        .checkpoint_every_steps(1)
        .log_every(1)
        .run_dir(folder)
        .observe(Quiet)
        // In a closure, so that its type does not hold the student's, which may not outlive the trainer.
        .on_checkpoint(move |student, step| killed_at(stop)(student, step))
}

/// What a run left in its folder.
pub(crate) struct Outcome {
    /// The files of tensors of the last checkpoint.
    files: BTreeMap<&'static str, Vec<u8>>,
    /// Where it stands, without the seconds.
    state: Value,
    /// The losses of every step, and the evaluations.
    metrics: Vec<Value>,
    /// The tensors and `state.json` of the first checkpoint and of the last.
    ends: [BTreeMap<String, String>; 2],
}

const FILES: [&str; 3] = ["student.safetensors", "projections.safetensors", "optimizer.safetensors"];

impl Outcome {
    /// The step of the newest checkpoint.
    pub(crate) fn newest(folder: &Path) -> u64 {
        let names = fs::read_dir(folder.join("checkpoints")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.strip_prefix("step-").unwrap().parse().unwrap()).max().unwrap()
    }

    pub(crate) fn of(folder: &Path) -> Self {
        let checkpoint = |step: u64| folder.join(format!("checkpoints/step-{step}"));
        let last = checkpoint(Self::newest(folder));
        let files = FILES.iter().filter_map(|file| Some((*file, fs::read(last.join(file)).ok()?)));
        let mut state = state(&last);
        state.as_object_mut().unwrap().remove("seconds");
        let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let metrics = metrics.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for speed in ["examples_per_second", "tokens_per_second"] {
                line.as_object_mut().unwrap().remove(speed);
            }
            line
        });
        let (files, metrics) = (files.collect(), metrics.collect());
        Outcome { files, state, metrics, ends: [checkpoint(1), last].map(|folder| contents(&folder)) }
    }

    pub(crate) fn assert_equal(&self, other: &Self, name: &str) {
        assert!(self.files.contains_key(FILES[0]), "{name}");
        assert_eq!(self.files.keys().collect::<Vec<_>>(), other.files.keys().collect::<Vec<_>>(), "{name}");
        for (file, bytes) in &self.files {
            assert!(bytes == &other.files[file], "{name}: {file} differs");
        }
        assert_eq!(self.state, other.state, "{name}");
        assert_eq!(self.metrics, other.metrics, "{name}");
    }

    /// Whether a tensor, or a value of `state.json`, is another at the end than after the first step.
    pub(crate) fn moves(&self, what: &str) -> bool {
        let [first, last] = self.ends.each_ref().map(|end| {
            end.get(what).unwrap_or_else(|| panic!("a checkpoint has no `{what}`, only {:?}", end.keys()))
        });
        first != last
    }
}

fn state(checkpoint: &Path) -> Value {
    let text = fs::read_to_string(checkpoint.join("state.json")).unwrap();
    let mut sealed: Value = serde_json::from_str(&text).unwrap();
    sealed["state"].take()
}

/// All tensors but the student's, and all values of `state.json`, as texts that can be compared.
fn contents(checkpoint: &Path) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    for file in &FILES[1..] {
        let Ok(bytes) = fs::read(checkpoint.join(file)) else { continue };
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
            contents.insert(name.to_owned(), format!("{:?}", view.data()));
        }
    }
    for (name, value) in state(checkpoint).as_object().unwrap() {
        contents.insert(name.clone(), value.to_string());
    }
    contents
}
