//! The plan as data: explained, drawn, compared, checked.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::plan::{Flow, Stage, StageKind};
use brew_core::plan::{Plan, Projection};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::side::Owner;
use tests::{Toy, ToyOutputAdaptor};

fn pipeline() -> Pipeline<tests::Sentence, ToyOutputAdaptor> {
    Distill::new(Toy::new(4, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(2, 6, 1).seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(8.0))
        .matching(
            hidden(teacher_layer(4), student_layer(2))
                .by(HiddenMse)
                .project(Projection::linear(6, 8))
                .weight(0.5),
        )
        .hard_labels(1.0)
        .plan()
        .unwrap()
}

#[test]
fn explain_says_what_each_stage_reads_and_provides() {
    expect_test::expect_file!["./snapshots/explain.txt"].assert_eq(&pipeline().explain());
}

#[test]
fn drawings_hold_every_stage_and_flow() {
    expect_test::expect_file!["./snapshots/plan.dot"].assert_eq(&pipeline().plan().to_dot());
    expect_test::expect_file!["./snapshots/plan.mermaid"].assert_eq(&pipeline().plan().to_mermaid());
}

#[test]
fn a_plan_written_and_read_is_the_same_plan() {
    let pipeline = pipeline();
    let text = serde_json::to_string(pipeline.plan()).unwrap();
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, pipeline.plan());
    assert_eq!(read.explain(), pipeline.explain());
    let unknown = text.replacen("\"semantics\"", "\"semantic\"", 1);
    assert!(
        serde_json::from_str::<Plan>(&unknown).unwrap_err().to_string().contains("unknown field `semantic`")
    );
}

#[test]
fn plans_that_differ_in_one_layer_are_not_equal() {
    let of = |layer| {
        Distill::new(Toy::new(4, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(2, 8, 1).seen_by(ToyOutputAdaptor))
            .matching(hidden(teacher_layer(layer), student_layer(1)).by(HiddenMse).named("match"))
            .plan()
            .unwrap()
    };
    assert_eq!(of(2).plan(), of(2).plan());
    assert_ne!(of(2).plan(), of(3).plan());
}

#[test]
fn all_problems_of_a_builder_come_at_once() {
    let twice = || hidden(teacher_layer(0), student_layer(0)).by(HiddenMse);
    let error = Distill::new(
        Toy::new(1, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor),
    )
    .soft_targets(KdCe::at(-1.0))
    .matching([twice(), twice()])
    .hard_labels(f64::NAN)
    .plan()
    .unwrap_err();
    expect_test::expect![[r#"
        the pipeline cannot run, 3 problems:
          1. stage `kd_ce`: the temperature is -1; it must be finite and above 0 (1 leaves the logits as they are)
          2. two stages are named `hidden_mse_t0_s0`: metrics and checkpoints need unique names; rename one with `.named("…")`
          3. stage `hard_labels`: its weight is NaN; it must be finite"#]]
    .assert_eq(&error.to_string());
}

#[test]
fn a_plan_from_elsewhere_is_checked_by_the_same_rules() {
    let mut plan = Plan::new(Semantics::Exact);
    let stage = |name: &str, kind| Stage { name: name.to_owned(), kind };
    let batch = plan.add(stage("batch", StageKind::Batch));
    let student = plan.add(stage("student", StageKind::Student));
    let roles = vec!["logits".to_owned(), "hidden".to_owned()];
    let adaptor = plan.add(stage("student adaptor", StageKind::Adaptor { owner: Owner::Student, roles }));
    let projection = plan.add(stage("projection", StageKind::Projection(Projection::linear(0, 8))));
    plan.connect(batch, student, Flow::Batch);
    plan.connect(student, adaptor, Flow::Output);
    plan.connect(adaptor, projection, Flow::Feature { role: "hiden".to_owned(), layers: Some(vec![0]) });
    plan.connect(projection, student, Flow::Output);
    expect_test::expect![[r#"
        the pipeline cannot run, 5 problems:
          1. the pipeline has no loss: add one of `.soft_targets(…)`, `.matching(…)`, `.hard_labels(…)`
          2. stages wait for one another: student -> student adaptor -> projection
          3. stage `student` reads a batch, but has 2 inputs
          4. stage `projection` reads `hiden`, which `student adaptor` does not provide; did you mean `hidden`?
          5. stage `projection`: it projects from 0 to 8; both widths must be at least 1"#]]
    .assert_eq(&plan.check().unwrap_err().to_string());
}
