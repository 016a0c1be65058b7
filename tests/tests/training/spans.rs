//! What the loop reports while it runs: spans of its parts, and the tokens it has seen.

use std::sync::{Arc, Mutex};

use brew_core::plan::StageKind;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{alone, sentences};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::support::{Quiet, Seen, pipeline};

/// Keeps the path of every span as it is entered.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    names: Vec<&'static str>,
    open: Vec<&'static str>,
    paths: Vec<String>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("brew_core")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut heard = self.0.lock().unwrap();
        heard.names.push(span.metadata().name());
        Id::from_u64(heard.names.len() as u64)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, span: &Id) {
        let mut heard = self.0.lock().unwrap();
        let name = heard.names[span.into_u64() as usize - 1];
        heard.open.push(name);
        let path = heard.open.join("/");
        heard.paths.push(path);
    }
    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().open.pop();
    }
}

#[test]
fn every_part_of_a_step_is_a_span_in_the_order_of_the_loop() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let stages = pipeline.plan().stages();
    let losses = stages.filter(|(_, stage)| matches!(stage.kind, StageKind::Loss(_))).count();
    let trainer = Trainer::new(pipeline)
        .steps(2)
        .accumulate(2)
        .clip(1.0)
        .evaluate(sentences(1, 4, 9), Accuracy)
        .observe(Quiet)
        .run_dir(folder.path().join("run"));
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || trainer.run(sentences(4, 4, 5)).unwrap());
    let paths = listener.0.lock().unwrap().paths.clone();
    let batch = ["step/teacher", "step/student"]
        .into_iter()
        .chain(std::iter::repeat_n("step/loss", losses))
        .chain(["step/backward"]);
    let step: Vec<&str> = (["step", "step/data"].into_iter())
        .chain(batch.clone())
        .chain(batch)
        .chain(["step/clip", "step/optimizer"])
        .collect();
    let expected = [step.clone(), step, vec!["checkpoint", "evaluation"]].concat();
    // Before the first step, two rows go through teacher, student and losses.
    let from = paths.iter().position(|path| path == "step").unwrap();
    assert_eq!(paths[from..], expected);
    assert!(losses > 2);
}

#[test]
fn tokens_are_those_of_the_mask_and_read_on_logged_steps_alone() {
    let _alone = alone();
    let data = sentences(6, 4, 5);
    let real: i64 = data.iter().map(|batch| batch.mask.sum(Kind::Int64).int64_value(&[])).sum();
    assert!(real < 6 * 4 * 6, "some positions are padding");
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let seen = Seen::default();
    let trained =
        Trainer::new(pipeline).epochs(2).log_every(4).observe(seen.clone()).run_dir(&run).run(data).unwrap();
    let summary = trained.summary();
    assert_eq!(summary.tokens, Some(2 * real.unsigned_abs()));
    let speed = summary.tokens_per_second.unwrap();
    assert!((speed * summary.seconds / (2 * real) as f64 - 1.0).abs() < 1e-9);
    let steps = seen.steps.borrow();
    let told: Vec<u64> =
        steps.iter().filter(|step| step.tokens_per_second.is_some()).map(|step| step.step).collect();
    assert_eq!(told, [1, 5, 9, 12]);
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for (line, step) in metrics.lines().zip([1, 5, 9, 12]) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["step"], step);
        let (written, told) =
            (line["tokens_per_second"].as_f64().unwrap(), steps[step - 1].tokens_per_second);
        assert!((written / told.unwrap() - 1.0).abs() < 1e-12);
    }
}
