//! The loop: accumulation, seeds, evaluation, events and the run folder.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use std::cell::RefCell;
use std::rc::Rc;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::observe::Predictions;
use brew_core::observe::{Event, Observer};
use brew_core::plan::{Plan, Projection};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

type ToyPipeline = Pipeline<Sentence, ToyOutputAdaptor>;

fn pipeline(semantics: Semantics, dropout: f64) -> (ToyPipeline, Parameters) {
    let student = Toy::new(1, 6, 1).with_dropout(dropout);
    let parameters = student.parameters();
    let pipeline =
        Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .semantics(semantics)
            .soft_targets(KdCe::at(2.0))
            .matching(
                hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).project(Projection::linear(6, 8)),
            )
            .hard_labels(1.0)
            .plan()
            .unwrap();
    (pipeline, parameters)
}

fn flat(parameters: &Parameters) -> Vec<f64> {
    parameters
        .iter()
        .flat_map(|(_, tensor)| {
            Vec::<f64>::try_from(tensor.detach().view([-1]).to_kind(Kind::Double)).unwrap()
        })
        .collect()
}

/// The same 16 rows in batches of this size.
fn cut(rows: i64) -> Vec<Sentence> {
    let whole = sentences(1, 16, 3).remove(0);
    (0..16 / rows)
        .map(|part| whole.map(&mut |_, tensor| Ok(tensor.narrow(0, part * rows, rows))).unwrap())
        .collect()
}

fn after_training(semantics: Semantics, rows: i64) -> Vec<f64> {
    let (pipeline, parameters) = pipeline(semantics, 0.0);
    Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(0.01))
        .clip(0.5)
        .accumulate((16 / rows) as usize)
        .epochs(5)
        .observe(Quiet)
        .run(cut(rows))
        .unwrap();
    flat(&parameters)
}

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

fn largest_difference(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
}

// The rows' masks have 1 to 6 positions each, so that a mean of means is far from the mean. The
// projection is float32, and so are the masks' counts: round-off is theirs.
#[test]
fn exact_semantics_do_not_depend_on_how_a_batch_is_cut() {
    let _alone = alone();
    let whole = after_training(Semantics::Exact, 16);
    for rows in [4, 1] {
        let difference = largest_difference(&whole, &after_training(Semantics::Exact, rows));
        assert!(difference < 1e-5, "cut into batches of {rows}: {difference}");
    }
}

#[test]
fn textbrewers_semantics_average_the_batches_means() {
    let _alone = alone();
    let whole = after_training(Semantics::TextBrewer, 16);
    let difference = largest_difference(&whole, &after_training(Semantics::TextBrewer, 1));
    assert!(difference > 1e-4, "a mean of means equals the mean to {difference}");
}

#[test]
fn one_seed_gives_one_run_to_the_last_bit_and_another_seed_another() {
    let _alone = alone();
    let train = |seed| {
        let (pipeline, parameters) = pipeline(Semantics::Exact, 0.3);
        Trainer::new(pipeline).seed(seed).epochs(2).observe(Quiet).run(sentences(3, 4, 5)).unwrap();
        flat(&parameters)
    };
    assert_eq!(train(7), train(7));
    assert_ne!(train(7), train(8));
}

#[test]
fn training_lowers_the_loss_and_evaluation_sees_it() {
    let _alone = alone();
    let events = Rc::new(RefCell::new(Vec::new()));
    struct Record(Rc<RefCell<Vec<String>>>);
    impl Observer for Record {
        fn on(&mut self, event: &Event<'_>) {
            self.0.borrow_mut().push(match event {
                Event::Started { steps, .. } => format!("started {steps}"),
                Event::Batch(_) => return,
                Event::Step(report) => format!("step {}", report.step),
                Event::Evaluated { epoch, metric, .. } => format!("{metric} after epoch {epoch}"),
                Event::Finished(summary) => format!("finished {} {}", summary.steps, summary.examples),
                _ => return,
            });
        }
    }
    let model = Toy::new(1, 16, 1);
    let before =
        Predictions::of(&Toy::new(1, 16, 1).seen_by(ToyOutputAdaptor), &sentences(8, 16, 9)).unwrap();
    let trained = Trainer::new(Supervised::new(model.seen_by(ToyOutputAdaptor)).plan().unwrap())
        .optimizer(AdamW::with_lr(0.02))
        .schedule(Decay::linear().with_warmup(0.1))
        .accumulate(3)
        .epochs(20)
        .evaluate(sentences(8, 16, 9), Accuracy)
        .observe(Record(events.clone()))
        .run(sentences(8, 16, 4))
        .unwrap();
    let summary = trained.summary();
    // Eight batches in windows of three: two of three and a leftover of two, each epoch.
    assert_eq!((summary.steps, summary.examples), (60, 20 * 8 * 16));
    assert_eq!(summary.evaluations.len(), 20);
    let last = *summary.evaluations.last().unwrap();
    let first = Accuracy.value(&before).unwrap();
    assert!(last > first + 0.1, "accuracy went from {first} to {last}");
    let after = Predictions::of(trained.student(), &sentences(8, 16, 9)).unwrap();
    assert_eq!(Accuracy.value(&after).unwrap(), last);
    let events = events.borrow();
    assert_eq!(events[..5], ["started 60", "step 1", "step 2", "step 3", "accuracy after epoch 0"]);
    assert_eq!(events.last().unwrap(), "finished 60 2560");
}

#[test]
fn a_run_folder_holds_the_plan_the_metrics_and_the_student() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    for _ in 0..2 {
        let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
        Trainer::new(pipeline)
            .epochs(2)
            .log_every(1)
            .run_dir(&path)
            .evaluate(sentences(1, 4, 0), Accuracy)
            .observe(Quiet)
            .run(sentences(2, 4, 0))
            .unwrap();
    }
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(path.join("plan.json")).unwrap()).unwrap();
    assert_eq!(&plan, pipeline.plan());
    assert_eq!(std::fs::read_to_string(path.join("plan.dot")).unwrap(), plan.to_dot());
    assert_eq!(std::fs::read_to_string(path.join("student/toy.txt")).unwrap(), "a toy");
    let metrics = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4 + 2);
    let names: Vec<&String> = lines[0]["losses"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["hard_labels", "hidden_mse_t2_s1", "kd_ce", "total"]);
    assert!(lines[5]["accuracy"].is_number());
    // The first of the two runs was moved aside whole.
    assert_eq!(
        std::fs::read_to_string(folder.path().join("run.1/metrics.jsonl")).unwrap().lines().count(),
        6
    );
}

/// Batches whose extremes are not known before the first step.
struct NotLookedThrough(Vec<Sentence>);
impl Batches for NotLookedThrough {
    type Batch = Sentence;
    fn batches_per_epoch(&self) -> Option<usize> {
        self.0.batches_per_epoch()
    }
    fn rows(&self) -> Option<usize> {
        self.0.rows()
    }
    fn epoch(&self, epoch: u64) -> Result<brew_core::batch::Walk<'_, Sentence>> {
        self.0.epoch(epoch)
    }
    fn settings(&self) -> Result<std::collections::BTreeMap<String, String>> {
        self.0.settings()
    }
}

#[test]
fn an_error_of_a_step_names_stage_epoch_and_batch() {
    let _alone = alone();
    let mut data = sentences(3, 4, 0);
    data[2].labels = Some(Tensor::from_slice(&[0_i64, 1, 5, 0]));
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let data = NotLookedThrough(data);
    let error = Trainer::new(pipeline).observe(Quiet).run(data).unwrap_err().to_string();
    assert_eq!(
        error,
        "epoch 0, batch 2: stage `student`: Target 5 is out of bounds. (the batch's labels are 0 to 5)"
    );
}

#[test]
fn settings_that_cannot_work_are_all_reported_before_anything_runs() {
    let _alone = alone();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let error = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(-1.0))
        .accumulate(0)
        .epochs(0)
        .clip(f64::INFINITY)
        .run(Vec::<Sentence>::new())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the learning rate is -1; it must be finite and not negative; `accumulate` is 0; it must be at least 1; `epochs` is 0; it must be at least 1; `clip` is inf; it must be finite and above 0"
    );
}

#[test]
fn data_without_rows_is_an_error() {
    let _alone = alone();
    let (pipeline, _) = pipeline(Semantics::Exact, 0.0);
    let error = Trainer::new(pipeline).observe(Quiet).run(Vec::<Sentence>::new()).unwrap_err();
    assert_eq!(error.to_string(), "there is nothing to train on: the data has no rows");
}

#[test]
fn a_student_that_cannot_be_written_is_not_lost() {
    let _alone = alone();
    struct Unsaved(Toy);
    #[distill(batch = Sentence)]
    impl Unsaved {
        fn forward(
            &self,
            tokens: &Tensor,
            mask: &Tensor,
            labels: Option<&Tensor>,
            pass: &Pass,
        ) -> Result<ToyOutput> {
            self.0.forward(tokens, mask, labels, pass)
        }
    }
    impl Model for Unsaved {
        fn parameters(&self) -> Parameters {
            self.0.parameters()
        }
        fn save(&self, folder: &std::path::Path) -> Result<()> {
            Err(Error::file(folder, "the disk is full"))
        }
    }
    struct Warnings(Rc<RefCell<Vec<String>>>);
    impl Observer for Warnings {
        fn on(&mut self, event: &Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.borrow_mut().push((*text).to_owned());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let warnings = Rc::default();
    let trained =
        Trainer::new(Supervised::new(Unsaved(Toy::new(1, 8, 0)).seen_by(ToyOutputAdaptor)).plan().unwrap())
            .run_dir(folder.path().join("run"))
            .observe(Warnings(Rc::clone(&warnings)))
            .run(sentences(2, 4, 0))
            .unwrap();
    assert_eq!(trained.summary().steps, 2);
    let warnings = warnings.borrow();
    assert!(warnings[0].starts_with("could not write to the run folder: "), "{warnings:?}");
    assert!(warnings[0].ends_with("the disk is full"), "{warnings:?}");
    assert!(trained.save(folder.path().join("elsewhere")).is_err());
}
