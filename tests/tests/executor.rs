//! The executor: what is kept, what is freed, and what models are told.

#![expect(clippy::unwrap_used, reason = "a test fails where a helper does")]

use brew_core::batch::Both;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{HiddenMse, KdCe, KdMse};
use brew_core::pass::Wants;
use brew_core::plan::Projection;
use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

fn pipeline(teacher: Toy, student: Toy) -> Pipeline<Sentence, ToyOutputAdaptor> {
    Distill::new(teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .matching(
            [(0, 0), (2, 1)].map(|(teacher, student)| {
                hidden(teacher_layer(teacher), student_layer(student)).by(HiddenMse)
            }),
        )
        .hard_labels(1.0)
        .plan()
        .unwrap()
}

#[test]
fn tensors_are_freed_after_their_last_reader() {
    let _alone = alone();
    let pipeline = pipeline(Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let executor = Executor::new(&pipeline, 0).unwrap();
    let mut live = Vec::new();
    let pass = Pass::training(0, Wants::nothing());
    executor
        .run_watched(&sentences(1, 4, 0)[0], &pass, None, &mut |stage, held| {
            live.push((stage.name.clone(), held))
        })
        .unwrap();
    let live: Vec<(&str, usize)> = live.iter().map(|(name, held)| (name.as_str(), *held)).collect();
    // The teacher's adaptor hands on logits, two hidden states and the batch's mask; the student's
    // logits, two hidden states and losses, and the same mask. Each loss takes its own away and
    // leaves one term: kd_ce two logits, the first match two states, the second two states and the
    // last readers of the mask, the hard labels the losses.
    assert_eq!(
        live,
        [
            ("batch", 0),
            ("teacher", 0),
            ("teacher adaptor", 4),
            ("student", 4),
            ("student adaptor", 8),
            ("kd_ce", 7),
            ("hidden_mse_t0_s0", 6),
            ("hidden_mse_t2_s1", 4),
            ("hard_labels", 4),
            ("sum", 0),
        ]
    );
}

#[test]
fn a_model_is_never_asked_for_maps_that_nobody_matches() {
    let _alone = alone();
    let (mut teacher, mut student) = (Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    (teacher.refuses_attention, student.refuses_attention) = (true, true);
    let asked = (teacher.passes.clone(), student.passes.clone());
    let pipeline = pipeline(teacher, student);
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(5, Wants::nothing());
    executor.run(&sentences(1, 4, 0)[0], &pass, None).unwrap();
    let wants = |layers: [i64; 2]| {
        let masks = Wants::nothing().and_role("logits").and_role("inputs_mask");
        layers.iter().fold(masks, |wants, layer| wants.and_layer("hidden", *layer))
    };
    let (teacher, student) = (asked.0.lock().unwrap(), asked.1.lock().unwrap());
    assert_eq!((teacher[0].training, &teacher[0].wants), (false, &wants([0, 2])));
    assert_eq!((student[0].training, &student[0].wants), (true, &wants([0, 1]).and_role("losses")));
}

#[test]
#[should_panic(expected = "nobody matches attention maps")]
fn the_toy_that_watches_does_panic_when_it_is_asked() {
    let mut toy = Toy::new(1, 8, 0);
    toy.refuses_attention = true;
    let pass = Pass::evaluation(Wants::nothing().and_layer("attention", 0));
    let _ = toy.seen_by(ToyOutputAdaptor).run(&sentences(1, 2, 0)[0], &pass);
}

#[test]
fn teachers_are_frozen_and_get_no_gradient() {
    let _alone = alone();
    let (teacher, student) = (Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let (of_teacher, of_student) = (teacher.parameters(), student.parameters());
    let pipeline = pipeline(teacher, student);
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    let losses = executor.run(&sentences(1, 4, 0)[0], &pass, None).unwrap();
    losses.total.backward();
    assert!(of_teacher.iter().all(|(_, tensor)| !tensor.requires_grad() && !tensor.grad().defined()));
    assert!(of_student.iter().all(|(name, tensor)| tensor.grad().defined() && !name.is_empty()));
}

#[test]
fn the_sum_is_the_weighted_sum_of_the_terms() {
    let _alone = alone();
    let pipeline = pipeline(Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    let losses = executor.run(&sentences(1, 4, 0)[0], &pass, None).unwrap();
    let names: Vec<&str> = losses.terms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["kd_ce", "hidden_mse_t0_s0", "hidden_mse_t2_s1", "hard_labels"]);
    let sum: f64 = losses.terms.iter().map(|(_, value)| value.double_value(&[])).sum();
    assert!((losses.total.double_value(&[]) - sum).abs() < 1e-12);
}

#[test]
fn two_rows_find_every_mistake_at_once() {
    let _alone = alone();
    let pipeline = Distill::new(
        Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor),
    )
    .matching(vec![
        hidden(teacher_layer(7), student_layer(0)).by(HiddenMse),
        hidden(teacher_layer(1), student_layer(1)).by(HiddenMse),
        hidden(teacher_layer(2), student_layer(-1)).by(HiddenMse).project(Projection::linear(5, 8)),
    ])
    .hard_labels(1.0)
    .plan()
    .unwrap();
    let mut batch = sentences(1, 4, 0).remove(0);
    batch.mask *= 2;
    let executor = Executor::new(&pipeline, 0).unwrap();
    expect_test::expect![[r#"
        the pipeline cannot run, 5 problems:
          1. stage `teacher adaptor`: the teacher's `inputs_mask` has values other than 0 and 1: a mask says of each position whether it counts; numbers above 1 tell the documents of packed rows apart, which this model does not read: give each document a row of its own
          2. stage `teacher adaptor`: no layer 7 of `hidden`: the adaptor gives 3, 0 to 2
          3. stage `student adaptor`: the student's `inputs_mask` has values other than 0 and 1: a mask says of each position whether it counts; numbers above 1 tell the documents of packed rows apart, which this model does not read: give each document a row of its own
          4. stage `hidden_mse_t1_s1`: the student's hidden states are 6 wide, the teacher's 8: add `.project(Projection::linear(6, 8))`
          5. stage `projection_hidden_mse_t2_s-1`: the projection takes features of width 5, but the student's have width 6: its first number is the student's width"#]]
    .assert_eq(&executor.probe(&batch).unwrap_err().to_string());
}

#[test]
fn two_rows_find_labels_and_masks_out_of_range() {
    let _alone = alone();
    let pipeline = pipeline(Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let executor = Executor::new(&pipeline, 0).unwrap();
    let mut batch = sentences(1, 4, 0).remove(0);
    batch.mask *= 2;
    let error = executor.probe(&batch).unwrap_err().to_string();
    assert!(error.contains("the student's `inputs_mask` has values other than 0 and 1"), "{error}");
    let mut batch = sentences(1, 4, 0).remove(0);
    batch.labels = Some(Tensor::from_slice(&[0_i64, 3, 0, 0]));
    let error = executor.probe(&batch).unwrap_err().to_string();
    assert!(
        error.contains("out of bounds") || error.contains("a label is 3, but the logits have 3 classes"),
        "{error}"
    );
}

#[test]
fn two_good_rows_say_what_was_found() {
    let _alone = alone();
    let pipeline = pipeline(Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let executor = Executor::new(&pipeline, 0).unwrap();
    assert_eq!(
        executor.probe(&sentences(1, 4, 0)[0]).unwrap().found,
        [
            "batch: `tokens` (2, 6) Int64, `mask` (2, 6) Int64, `labels` (2) Int64",
            "teacher adaptor: `logits` (2, 3)",
            "teacher adaptor: `hidden[0]` (2, 6, 8)",
            "teacher adaptor: `inputs_mask` (2, 6)",
            "teacher adaptor: `hidden[2]` (2, 6, 8)",
            "student adaptor: `logits` (2, 3)",
            "student adaptor: `hidden[0]` (2, 6, 8)",
            "student adaptor: `inputs_mask` (2, 6)",
            "student adaptor: `hidden[1]` (2, 6, 8)",
            "student adaptor: `losses` (2)",
            "student: 184 parameters",
        ]
    );
}

#[test]
fn teacher_and_student_may_read_different_batches() {
    let _alone = alone();
    // The teacher reads a tuple by position, the student a struct by name.
    struct ByPosition(Toy);
    #[distill(batch = (Tensor, Tensor))]
    impl ByPosition {
        fn forward(&self, tokens: &Tensor, mask: &Tensor, pass: &Pass) -> Result<ToyOutput> {
            self.0.forward(tokens, mask, None, pass)
        }
    }
    impl Model for ByPosition {
        fn parameters(&self) -> Parameters {
            self.0.parameters()
        }
    }
    struct LogitsByPosition;
    #[adaptor(batch = (Tensor, Tensor), output = ToyOutput)]
    impl LogitsByPosition {
        fn logits(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
    }
    let pipeline = Distill::new(
        ByPosition(Toy::new(2, 8, 0)).seen_by(LogitsByPosition),
        Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor),
    )
    .soft_targets(KdCe::at(2.0))
    .plan()
    .unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    let run = |teacher: &Sentence, student: Sentence| {
        let teacher = (teacher.tokens.shallow_clone(), teacher.mask.shallow_clone());
        let losses = executor.run(&Both { teacher, student }, &pass, None).unwrap();
        losses.total.double_value(&[])
    };
    let (first, second) = (|| sentences(1, 4, 0).remove(0), || sentences(1, 4, 9).remove(0));
    assert_eq!(run(&first(), first()), run(&first(), first()));
    assert_ne!(run(&first(), first()), run(&second(), first()), "the teacher's batch must matter");
    assert_ne!(run(&first(), first()), run(&first(), second()), "the student's batch must matter");
}

#[test]
fn several_teachers_logits_are_averaged() {
    let _alone = alone();
    let student = || Toy::new(1, 8, 9).seen_by(ToyOutputAdaptor);
    let teacher = |seed| Toy::new(1, 8, seed).seen_by(ToyOutputAdaptor);
    let loss_of = |pipeline: Pipeline<Sentence, ToyOutputAdaptor>| {
        let executor = Executor::new(&pipeline, 0).unwrap();
        let pass = Pass::evaluation(Wants::nothing());
        executor.run(&sentences(1, 4, 0)[0], &pass, None).unwrap().total.double_value(&[])
    };
    let one =
        |seed| loss_of(Distill::new(teacher(seed), student()).soft_targets(KdMse::at(1.0)).plan().unwrap());
    let same =
        Distill::new(vec![teacher(3), teacher(3)], student()).soft_targets(KdMse::at(1.0)).plan().unwrap();
    assert!((loss_of(same) - one(3)).abs() < 1e-12);
    // The mean squared difference to a mean is the mean over both less their own spread.
    let pass = Pass::evaluation(Wants::nothing());
    let logits = |seed| teacher(seed).run(&sentences(1, 4, 0)[0], &pass).unwrap().logits;
    let spread = ((logits(3) - logits(4)) / 2.0).square().mean(Kind::Double).double_value(&[]);
    let both =
        Distill::new(teacher(3).and(teacher(4)), student()).soft_targets(KdMse::at(1.0)).plan().unwrap();
    assert!((loss_of(both) - ((one(3) + one(4)) / 2.0 - spread)).abs() < 1e-12);
}

/// What a newcomer leaves out: labels that were not carried along beside tokens.
#[test]
fn hard_labels_without_labels_say_how_the_data_keeps_them() {
    let pipeline = pipeline(Toy::new(2, 8, 0), Toy::new(1, 8, 1));
    let executor = Executor::new(&pipeline, 0).unwrap();
    let unlabelled = Sentence { labels: None, ..sentences(1, 4, 0).remove(0) };
    let told = executor.probe(&unlabelled).unwrap_err().to_string();
    assert!(
        told.contains("`losses` is missing: a model provides its own loss if the batch has labels"),
        "{told}"
    );
    assert!(told.contains("keep it beside the tokens by `.carry(&[\"labels\"])`"), "{told}");
}
