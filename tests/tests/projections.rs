//! Learned projections: their own settings, given values, and where they are after a run.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::observe::{BatchReport, Event, Observer, StepReport};
use brew_core::plan::Projection;
use brew_core::plan::ProjectionActivation;
use brew_core::prelude::*;
use brew_core::schedule::Cwsm;
use brew_core::semantics::Semantics;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, read_tensors, sentences};

fn pipeline(projections: [Projection; 2]) -> Pipeline<Sentence, ToyOutputAdaptor> {
    let [first, second] = projections;
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor))
        .semantics(Semantics::TextBrewer)
        .matching([
            hidden(teacher_layer(0), student_layer(0)).by(HiddenMse).named("first").project(first),
            hidden(teacher_layer(2), student_layer(1)).by(HiddenMse).named("second").project(second),
        ])
        .plan()
        .unwrap()
}

fn linear() -> Projection {
    Projection::linear(6, 8)
}

/// A value for every parameter of both projections.
fn start() -> BTreeMap<String, Tensor> {
    let options = (Kind::Double, Device::Cpu);
    ["first", "second"]
        .into_iter()
        .flat_map(|name| {
            [
                (format!("projection_{name}.weight"), Tensor::linspace(-1.0, 1.0, 48, options).view([8, 6])),
                (format!("projection_{name}.bias"), Tensor::linspace(0.5, 1.0, 8, options)),
            ]
        })
        .collect()
}

#[derive(Clone, Default)]
struct Keep(Rc<RefCell<(Vec<BatchReport>, Vec<StepReport>)>>);
impl Observer for Keep {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Batch(report) => self.0.borrow_mut().0.push((*report).clone()),
            Event::Step(report) => self.0.borrow_mut().1.push((*report).clone()),
            _ => {}
        }
    }
}

// The first step of AdamW is p (1 - lr decay) - lr g / (|g| + eps), whatever the gradient g: its size
// gives the learning rate away.
#[test]
fn a_projection_with_settings_of_its_own_moves_by_them() {
    let _alone = alone();
    let own = linear().learning_rate(0.05).weight_decay(0.5);
    let trained = Trainer::new(pipeline([linear(), own]))
        .optimizer(AdamW::with_lr(0.01).weight_decay(0.1))
        .projections(start())
        .observe(Keep::default())
        .run(sentences(1, 16, 0))
        .unwrap();
    let start = start();
    assert_eq!(trained.projections().iter().count(), 4);
    for (name, moved) in trained.projections().iter() {
        let (rate, decay) = if name.contains("second") { (0.05, 0.5) } else { (0.01, 0.1) };
        let size = (moved.detach() - &start[name] * (1.0 - rate * decay)).abs();
        assert!((size - rate).abs().max().double_value(&[]) < 1e-5, "{name}");
    }
}

#[test]
fn a_users_own_activation_follows_the_linear_map() {
    let _alone = alone();
    let total = |activation: ProjectionActivation| {
        let own = Projection::new(activation, 6, 8);
        let keep = Keep::default();
        Trainer::new(pipeline([own, linear()]))
            .projections(start())
            .log_every(1)
            .observe(keep.clone())
            .run(sentences(1, 4, 0))
            .unwrap();
        let losses = keep.0.borrow().1[0].losses.clone().unwrap();
        losses[0].1
    };
    // tanh(x) = 2 sigmoid(2 x) - 1
    let own = ProjectionActivation::new("mine", |features| {
        Ok(((features * 2.0).f_sigmoid()? * 2.0).f_sub_scalar(1.0)?)
    });
    let (found, expected) = (total(own.clone()), total(ProjectionActivation::tanh()));
    assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
    assert!((total(own) - total(ProjectionActivation::linear())).abs() > 1e-3);
}

#[test]
fn all_that_is_wrong_with_given_projections_comes_at_once() {
    let _alone = alone();
    let mut given = start();
    let bias = given.remove("projection_first.bias").unwrap();
    given.insert("projection_frist.bias".to_owned(), bias);
    given.insert("projection_second.bias".to_owned(), Tensor::zeros([6], (Kind::Double, Device::Cpu)));
    let error = Trainer::new(pipeline([linear(), linear()]))
        .projections(given)
        .observe(Keep::default())
        .run(sentences(1, 4, 0))
        .unwrap_err();
    expect_test::expect![[r#"
        the projections cannot start from these tensors, 3 problems:
          1. `projection_frist.bias` is unknown; did you mean `projection_first.bias`?
          2. `projection_first.bias` is missing
          3. `projection_second.bias` is [6]; it must be [8]"#]]
    .assert_eq(&error.to_string());
}

#[test]
fn settings_out_of_range_are_refused_with_the_plan() {
    let _alone = alone();
    let mut own = linear().learning_rate(-1.0);
    own.optimizer.betas = Some((0.9, 1.0));
    let error = Distill::new(
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor),
    )
    .matching(hidden(teacher_layer(0), student_layer(0)).by(HiddenMse).project(own))
    .plan()
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pipeline cannot run: stage `projection_hidden_mse_t0_s0`: `lr` is -1; it must be finite and not negative; `betas[1]` is 1; it must be in [0, 1)"
    );
}

#[test]
fn a_run_folder_holds_the_projections_too() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let trained = Trainer::new(pipeline([linear(), Projection::tanh(6, 8)]))
        .run_dir(folder.path().join("run"))
        .observe(Keep::default())
        .run(sentences(3, 4, 0))
        .unwrap();
    let saved = read_tensors(&folder.path().join("run/projections.safetensors"));
    assert_eq!(saved.len(), 4);
    for (name, parameter) in trained.projections().iter() {
        assert!(saved[name].equal(&parameter.detach().to_kind(Kind::Float)), "{name}");
    }
}

#[test]
fn the_batches_of_a_step_report_their_shares_of_its_losses() {
    let _alone = alone();
    let keep = Keep::default();
    Trainer::new(pipeline([linear(), linear()]))
        .accumulate(2)
        .log_every(2)
        .observe(keep.clone())
        .run(sentences(5, 4, 0))
        .unwrap();
    let kept = keep.0.borrow();
    let (batches, steps) = (&kept.0, &kept.1);
    // Three steps of 2, 2 and 1 batches, of which the first and the last are logged.
    let places: Vec<_> = batches.iter().map(|batch| (batch.step, batch.index, batch.batches)).collect();
    assert_eq!(places, [(1, 0, 2), (1, 1, 2), (3, 0, 1)]);
    let losses = steps[0].losses.as_ref().unwrap();
    for (index, (name, value)) in losses.iter().enumerate() {
        let shares = [0, 1].map(|batch| &batches[batch].losses[index]);
        assert!(shares.iter().all(|(share, _)| share == name));
        assert!((shares[0].1 + shares[1].1 - value).abs() < 1e-12, "{name}");
    }
}

#[test]
fn a_loss_over_the_whole_batch_warns_where_batches_are_accumulated() {
    let _alone = alone();
    struct Warnings(Rc<RefCell<Vec<String>>>);
    impl Observer for Warnings {
        fn on(&mut self, event: &Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.borrow_mut().push((*text).to_owned());
            }
        }
    }
    let warnings = |batches| {
        let (teacher, student) = (Toy::new(2, 8, 0), Toy::new(1, 8, 1));
        let pipeline = Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
            .soft_targets(KdCe::at(4.0).scheduled(Cwsm::new(0.5)))
            .plan()
            .unwrap();
        let found = Rc::default();
        let observer = Warnings(Rc::clone(&found));
        Trainer::new(pipeline).accumulate(batches).observe(observer).run(sentences(2, 4, 0)).unwrap();
        found.take()
    };
    assert!(warnings(1).is_empty());
    assert_eq!(
        warnings(2),
        [
            "`kd_ce` depends on all rows of a batch: 2 accumulated batches do not give the same loss as one large batch"
        ]
    );
}
