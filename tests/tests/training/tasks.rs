//! Several tasks, one student: what is shared, what is drawn, and what is reported.

use std::sync::{Arc, Mutex};

use brew_core::batch::Walk;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::MultiTaskDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::train::MultiTask;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

use crate::support::{Seen, checkpoints, flat, stored};
use crate::two_heads::{Body, MovieModel, OfMovieAdaptor, movies, pipelines, products};

/// Two tasks whose batches differ in type and in rows.
fn two(semantics: Semantics) -> MultiTask<'static> {
    let (of_movies, of_products, _) = pipelines(semantics);
    MultiTask::new().task("movies", of_movies, movies(8, 4)).task("products", of_products, products(2, 4))
}

/// The task of each batch that a run logged.
fn drawn(seen: &Seen) -> Vec<String> {
    let task = |name: &str| name.split_once('/').map(|(task, _)| task.to_owned());
    seen.batches.borrow().iter().map(|report| task(&report.losses[1].0).unwrap()).collect()
}

#[test]
fn parameters_and_projections_that_tasks_share_are_trained_once() {
    let _alone = alone();
    let seen = Seen::default();
    let tasks = two(Semantics::Exact);
    let names: Vec<String> = tasks.parameters().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["body.middle", "body.numbers", "body.words", "head", "products/head"]);
    let before: Vec<Tensor> = tasks.parameters().iter().map(|(_, tensor)| tensor.detach().copy()).collect();
    let trained = Trainer::new(tasks)
        .optimizer(AdamW::with_lr(0.01).weight_decay(0.0))
        .accumulate(16)
        .steps(1)
        .observe(seen.clone())
        .run()
        .unwrap();
    // One step of AdamW moves a number by the learning rate at most; in the optimizer twice, by two.
    let parameters = trained.tasks().parameters();
    for ((name, now), then) in parameters.iter().zip(&before) {
        let moved = (now.detach() - then).abs().max().double_value(&[]);
        assert!(moved > 0.005 && moved <= 0.01 * (1.0 + 1e-9), "{name} moved by {moved}");
    }
    let learned: Vec<&str> = trained.projections().iter().map(|(name, _)| name).collect();
    assert_eq!(learned, ["projection_hidden_mse_t1_s1.bias", "projection_hidden_mse_t1_s1.weight"]);
    let tasks_of_step = drawn(&seen);
    assert!(tasks_of_step.contains(&"movies".to_owned()) && tasks_of_step.contains(&"products".to_owned()));
}

#[test]
fn a_projection_learns_from_every_task() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let seen = Seen::default();
    Trainer::new(two(Semantics::TextBrewer).tau(0.0))
        .optimizer(AdamW::with_lr(0.01))
        .steps(8)
        .log_every(1)
        .checkpoint_every_steps(1)
        .run_dir(&path)
        .observe(seen.clone())
        .run()
        .unwrap();
    let learned: Vec<_> = (1..=8)
        .map(|step| stored(&path.join(format!("checkpoints/step-{step}/projections.safetensors"))))
        .collect();
    let tasks = drawn(&seen);
    for (step, pair) in learned.windows(2).enumerate() {
        assert_ne!(pair[0], pair[1], "step {} on `{}` changed nothing", step + 2, tasks[step + 1]);
    }
    assert!(["movies", "products"].iter().all(|task| tasks[1..].iter().any(|drawn| drawn == task)));
}

// TextBrewer counts batches: 8 to 2 gives 164 and 36 of 200, from no seed at all (a.15).
#[test]
fn batches_are_drawn_by_size_to_the_power_tau_from_the_seed_alone() {
    let _alone = alone();
    let draws = |tau, seed| {
        let seen = Seen::default();
        let tasks = two(Semantics::Exact).tau(tau);
        let trainer = Trainer::new(tasks).steps(200).seed(seed).log_every(1).observe(seen.clone());
        trainer.run().unwrap();
        (drawn(&seen), seen.found.borrow().clone())
    };
    let (first, found) = draws(1.0, 7);
    assert_eq!(draws(1.0, 7).0, first);
    assert_ne!(draws(1.0, 8).0, first);
    let movies = |tasks: &[String]| tasks.iter().filter(|task| *task == "movies").count();
    // 160 and 100 of 200, give or take three standard deviations: 17 and 21.
    assert!(movies(&first).abs_diff(160) <= 17, "{}", movies(&first));
    assert!(movies(&draws(0.0, 7).0).abs_diff(100) <= 21);
    assert!(found.contains(&"movies: drawn with probability 0.800".to_owned()), "{found:?}");
    assert!(found.contains(&"products: drawn with probability 0.200".to_owned()), "{found:?}");
}

/// Batches of unknown number.
struct Unknown(Vec<Sentence>);

impl Batches for Unknown {
    type Batch = Sentence;
    fn batches_per_epoch(&self) -> Option<usize> {
        None
    }
    fn rows(&self) -> Option<usize> {
        None
    }
    fn epoch(&self, epoch: u64) -> Result<Walk<'_, Sentence>> {
        self.0.epoch(epoch)
    }
}

fn supervised(student: &Arc<Mutex<Toy>>) -> Pipeline<Sentence, ToyOutputAdaptor> {
    Supervised::new(Arc::clone(student).seen_by(ToyOutputAdaptor)).plan().unwrap()
}

#[test]
fn a_task_of_unknown_length_makes_all_tasks_equally_probable() {
    let _alone = alone();
    let seen = Seen::default();
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1)));
    let tasks = MultiTask::new().task("long", supervised(&student), sentences(9, 4, 0)).task(
        "unknown",
        supervised(&student),
        Unknown(sentences(1, 4, 0)),
    );
    Trainer::new(tasks).steps(1).observe(seen.clone()).run().unwrap();
    assert!(seen.found.borrow().contains(&"long: drawn with probability 0.500".to_owned()));
    assert_eq!(
        *seen.warnings.borrow(),
        [
            "not every task knows its number of examples: all are drawn with the same probability, and `tau` has no effect"
        ]
    );
}

// Both tasks are the same pipeline over the same batch, so whichever is drawn, the step is that of one
// pipeline alone, dropout included.
#[test]
fn two_tasks_of_one_kind_train_as_one_pipeline_does() {
    let _alone = alone();
    let run = |tasks: bool, semantics| {
        let student = Arc::new(Mutex::new(Toy::new(1, 6, 1).with_dropout(0.3)));
        let pipeline = || {
            Supervised::new(Arc::clone(&student).seen_by(ToyOutputAdaptor))
                .semantics(semantics)
                .plan()
                .unwrap()
        };
        let (data, optimizer) = (|| sentences(1, 4, 2), AdamW::with_lr(0.01));
        let seen = Seen::default();
        if tasks {
            let tasks = MultiTask::new().task("a", pipeline(), data()).task("b", pipeline(), data());
            let trainer = Trainer::new(tasks).optimizer(optimizer).accumulate(4).steps(5).log_every(1);
            trainer.observe(seen.clone()).run().unwrap();
        } else {
            let trainer = Trainer::new(pipeline()).optimizer(optimizer).accumulate(4).steps(5).log_every(1);
            trainer.observe(seen.clone()).run(data()).unwrap();
        }
        let totals: Vec<f64> =
            seen.steps.borrow().iter().map(|report| report.losses.as_ref().unwrap()[0].1).collect();
        (flat(&student.parameters()), totals)
    };
    for semantics in [Semantics::Exact, Semantics::TextBrewer] {
        let ((tasks, of_tasks), (one, of_one)) = (run(true, semantics), run(false, semantics));
        for (left, right) in tasks.iter().zip(&one).chain(of_tasks.iter().zip(&of_one)) {
            assert!((left - right).abs() < 1e-9, "{left} and {right} in {semantics:?}");
        }
    }
}

const CONFIG: &str = r#"{"temperature": 2, "hard_label_weight": 0, "intermediate_matches": [
    {"layer_T": 1, "layer_S": 1, "feature": "hidden", "loss": "hidden_mse", "weight": 1, "proj": ["linear", 6, 8]}]}"#;

// With `num_steps` below `ckpt_steps` TextBrewer's MultiTaskDistiller ends in an IndexError (its defect 9).
#[test]
fn the_distiller_of_configs_trains_fewer_steps_than_between_two_checkpoints_defect_9() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let run = |steps, name: &str| {
        let path = folder.path().join(name);
        let train = TrainingConfig {
            ckpt_steps: Some(3),
            gradient_accumulation_steps: 2,
            output_dir: path.to_str().unwrap().to_owned(),
            ..TrainingConfig::default()
        };
        let distill = DistillationConfig::from_json(CONFIG).unwrap();
        let (teacher, student) =
            (Arc::new(Mutex::new(Toy::new(1, 8, 0))), Arc::new(Mutex::new(Toy::new(1, 6, 1))));
        let see = |model: &Arc<Mutex<Toy>>| Arc::clone(model).seen_by(ToyOutputAdaptor);
        let seen = Seen::default();
        let trained = MultiTaskDistiller::new(&train, &distill)
            .task("a", see(&teacher), see(&student), sentences(4, 4, 0))
            .task("b", see(&teacher), see(&student), sentences(1, 4, 1))
            .tau(0.5)
            .trainer()
            .unwrap()
            .steps(steps)
            .observe(seen.clone())
            .run()
            .unwrap();
        assert_eq!(trained.summary().steps, steps);
        assert_eq!(seen.windows()[0], 2);
        checkpoints(&path)
    };
    assert_eq!(run(2, "two"), [2]);
    assert_eq!(run(7, "seven"), [3, 6, 7]);
    // Each plan, the student once, the projections once.
    let path = folder.path().join("seven");
    for file in ["plans/a.json", "plans/b.dot", "student/toy.txt", "projections.safetensors", "config.json"] {
        assert!(path.join(file).is_file(), "{file}");
    }
    let state = std::fs::read_to_string(path.join("checkpoints/step-7/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let state = &state["state"];
    assert_eq!(state["batches"], 14);
    assert_eq!((&state["data"][0]["task"], &state["data"][1]["task"]), (&"a".into(), &"b".into()));
    assert_eq!(stored(&path.join("checkpoints/step-7/projections.safetensors")).len(), 2);
}

#[test]
fn each_task_is_evaluated_and_saved_under_its_name() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let model = Arc::new(Mutex::new(MovieModel::on(&Body::new(6, 1))));
    let view = || Arc::clone(&model).seen_by(OfMovieAdaptor);
    let seen = Seen::default();
    let tasks = MultiTask::new().task("early", Supervised::new(view()).plan().unwrap(), movies(2, 4)).task(
        "late",
        Supervised::new(view()).plan().unwrap(),
        movies(3, 4),
    );
    let mut steps = Vec::new();
    let trained = Trainer::new(tasks)
        .steps(5)
        .checkpoint_every_steps(2)
        .evaluate("early", view(), movies(1, 4), Accuracy)
        .evaluate("late", view(), movies(2, 4), Accuracy)
        .on_checkpoint(|tasks: &MultiTask<'_>, step| {
            assert_eq!(tasks.parameters().iter().count(), 4);
            steps.push(step);
            Ok(())
        })
        .run_dir(folder.path().join("run"))
        .observe(seen.clone())
        .run()
        .unwrap();
    let metrics = seen.metrics.borrow();
    let expected =
        [2, 4, 5].iter().flat_map(|step| ["early", "late"].map(|task| (*step, format!("{task}/accuracy"))));
    assert_eq!(*metrics, expected.collect::<Vec<_>>());
    assert_eq!(trained.summary().evaluations.len(), 6);
    // One model: saved as it saves itself.
    assert!(folder.path().join("run/student/model.txt").is_file());
    let two = two(Semantics::Exact);
    two.save(&folder.path().join("two")).unwrap();
    for task in ["movies", "products"] {
        assert_eq!(
            std::fs::read_to_string(folder.path().join(format!("two/{task}/model.txt"))).unwrap(),
            task
        );
    }
    drop(trained);
    assert_eq!(steps, [2, 4, 5]);
}

#[test]
fn what_is_wrong_with_tasks_is_said_before_anything_runs() {
    let _alone = alone();
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1)));
    let textbrewers =
        Supervised::new(Toy::new(1, 6, 2).seen_by(ToyOutputAdaptor)).semantics(Semantics::TextBrewer);
    let tasks = MultiTask::new()
        .task("a", supervised(&student), sentences(1, 4, 0))
        .task("a", supervised(&student), sentences(1, 4, 0))
        .task("../b", textbrewers.plan().unwrap(), sentences(1, 4, 0))
        .tau(f64::NAN);
    let error = Trainer::new(tasks).run().unwrap_err().to_string();
    expect_test::expect![[r#"`tau` is NaN; it must be finite and not negative; two tasks are named `a`: rename one of them; `../b` is not a valid task name: files are named after it, so use letters, digits, `-`, `_`, `.` and spaces, and do not start with a dot; `a` and `../b` use different semantics, Exact and TextBrewer: set the same semantics for both; the student of `../b` shares no parameter with the students of the tasks before it: give all tasks handles of one model, `let student = Arc::new(Mutex::new(student));` and `Arc::clone(&student).seen_by(…)`; several tasks have no common epoch: set the length of the run with `.steps(…)`"#]].assert_eq(&error);
    let error = Trainer::new(MultiTask::new()).steps(1).run().unwrap_err().to_string();
    assert_eq!(error, "no tasks: add one with `.task(…)`");
    let empty = MultiTask::new().task("a", supervised(&student), sentences(1, 4, 0)).task(
        "b",
        supervised(&student),
        Vec::<Sentence>::new(),
    );
    let error = Trainer::new(empty).steps(1).run().unwrap_err().to_string();
    assert_eq!(error, "task `b`: there is nothing to train on: the data has no rows");
}

#[test]
fn an_error_of_a_batch_names_its_task_and_where_it_was() {
    let _alone = alone();
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1)));
    let mut broken = sentences(2, 4, 0);
    broken[1].labels = Some(Tensor::from_slice(&[0_i64, 1, 5, 0]));
    // Data that are not looked through before the first step.
    let tasks = MultiTask::new().task("fine", supervised(&student), sentences(1, 4, 0)).task(
        "broken",
        supervised(&student),
        Unknown(broken),
    );
    let error = Trainer::new(tasks).steps(20).observe(Seen::default()).run().unwrap_err().to_string();
    assert!(error.starts_with("task `broken`, epoch 0, batch 1: stage `student`: Target 5"), "{error}");
}

#[test]
fn what_is_wrong_with_the_one_config_is_said_once() {
    let _alone = alone();
    // Keys and types are checked as it is read, names when pipelines are made of it.
    let distill: DistillationConfig = serde_json::from_str(r#"{"kd_loss_type": "nonesuch"}"#).unwrap();
    let student = Arc::new(Mutex::new(Toy::new(1, 6, 1)));
    let see = || Arc::clone(&student).seen_by(ToyOutputAdaptor);
    let error = MultiTaskDistiller::new(&TrainingConfig::default(), &distill)
        .task("a", see(), see(), sentences(1, 4, 0))
        .task("b", see(), see(), sentences(1, 4, 0))
        .tasks()
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("tasks cannot run: `a`, `b`: the pipeline cannot run"), "{error}");
    assert_eq!(error.matches("`kd_loss_type` is `nonesuch`").count(), 1, "{error}");
}
