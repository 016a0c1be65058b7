//! Matches that read one of several teachers, and projections that several matches share.

use brew_core::distill::{student_layer, teacher, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{HiddenMse, Nst};
use brew_core::pass::Wants;
use brew_core::plan::{Plan, Projection};
use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, alone, sentences};

struct LogitsOnly;
#[adaptor(batch = Sentence, output = ToyOutput)]
impl LogitsOnly {
    fn logits(output: &ToyOutput) -> &Tensor {
        &output.logits
    }
}

fn toy(layers: usize, width: i64, seed: i64) -> Seen<ToyOutputAdaptor> {
    Toy::new(layers, width, seed).seen_by(ToyOutputAdaptor)
}

/// The losses on a few sentences, by name.
fn losses(pipeline: &Pipeline<Sentence, ToyOutputAdaptor>) -> Vec<(String, f64)> {
    let executor = Executor::new(pipeline, 3).unwrap();
    let batch = sentences(1, 4, 5).remove(0);
    executor.probe(&batch).unwrap();
    let losses = executor.run(&batch, &Pass::training(0, Wants::nothing()), None).unwrap();
    losses.terms.iter().map(|(name, value)| (name.clone(), value.double_value(&[]))).collect()
}

#[test]
fn a_match_reads_the_teacher_that_it_names() {
    let _alone = alone();
    let student = || toy(1, 6, 9);
    let both = Distill::new(vec![toy(2, 6, 1), toy(3, 6, 2)], student())
        .matching([
            hidden(teacher(0).layer(2), student_layer(1)).by(HiddenMse),
            hidden(teacher(1).layer(-1), student_layer(-1)).by(HiddenMse),
        ])
        .matching(hidden(teacher(1).layer([0, 3]), student_layer([0, 1])).by(Nst))
        .plan()
        .unwrap();
    let of = |teacher, layer| {
        let found = hidden(teacher_layer(layer), student_layer(1)).by(HiddenMse);
        losses(&Distill::new(teacher, student()).matching(found).plan().unwrap())[0].1
    };
    let found = losses(&both);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hidden_mse_teacher0_t2_s1", "hidden_mse_teacher1_t-1_s-1", "nst_teacher1_t0-3_s0-1"]);
    assert_eq!(found[0].1, of(toy(2, 6, 1), 2));
    assert_eq!(found[1].1, of(toy(3, 6, 2), 3));
    assert_ne!(found[0].1, found[1].1);
    // Each teacher is asked for its own layers alone.
    let wants: Vec<String> = both
        .plan()
        .stages()
        .filter(|(_, stage)| stage.name.ends_with("adaptor"))
        .map(|(id, stage)| {
            format!("{}: {}", stage.name, serde_json::to_string(&both.plan().wants(id)).unwrap())
        })
        .collect();
    assert!(wants[0].starts_with("teacher 0") && wants[0].contains(r#""hidden":{"These":[2]}"#), "{wants:?}");
    assert!(
        wants[1].starts_with("teacher 1") && wants[1].contains(r#""hidden":{"These":[-1,0,3]}"#),
        "{wants:?}"
    );
}

#[test]
fn a_teacher_that_is_not_chosen_or_not_there_or_lacks_the_role_is_named() {
    let refusal = |pipeline: Result<Pipeline<Sentence, ToyOutputAdaptor>>| pipeline.unwrap_err().to_string();
    let ensemble = || Toy::new(2, 6, 1).seen_by(LogitsOnly).and(toy(2, 6, 2));
    let text = refusal(
        Distill::new(vec![toy(2, 6, 1), toy(2, 6, 2)], toy(1, 6, 3))
            .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse))
            .plan(),
    );
    assert_eq!(
        text,
        "the pipeline cannot run: stage `hidden_mse_t2_s1`: it reads layers of one teacher, but the pipeline has 2: say which, `teacher(0).layer(2)` in place of `teacher_layer`, or `\"teacher\": 0` in a config"
    );
    let text = refusal(
        Distill::new(ensemble(), toy(1, 6, 3))
            .matching(hidden(teacher(2).layer(2), student_layer(1)).by(HiddenMse))
            .matching(hidden(teacher(0).layer(2), student_layer(1)).by(HiddenMse))
            .matching(hidden(teacher(1).layer(2), student_layer(1)).by(HiddenMse))
            .plan(),
    );
    assert_eq!(
        text,
        "the pipeline cannot run, 2 problems:\n  \
         1. stage `hidden_mse_teacher2_t2_s1`: it reads layers of teacher 2, but the pipeline has 2, counted from 0\n  \
         2. stage `hidden_mse_teacher0_t2_s1` reads `hidden`, which `teacher 0 adaptor` does not provide; there are: `logits`"
    );
}

#[test]
fn matches_share_a_projection_by_its_name() {
    let _alone = alone();
    let body = Projection::linear(6, 8).learning_rate(0.01).shared("body");
    let pipeline =
        |body: &Projection| {
            Distill::new(toy(2, 8, 1), toy(2, 6, 2))
                .matching([1, 2].map(|layer| {
                    hidden(teacher_layer(layer), student_layer(layer)).by(HiddenMse).project(body)
                }))
                .matching(hidden(teacher_layer([0, 2]), student_layer([0, 2])).by(loss::Fsp).project(body))
                .plan()
        };
    let shared = pipeline(&body).unwrap();
    let executor = Executor::new(&shared, 3).unwrap();
    let names: Vec<String> = executor.learned().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["projection_body.bias", "projection_body.weight"]);
    // Each match reads what its own layers become: as with projections of equal weights of their own.
    let own = Distill::new(toy(2, 8, 1), toy(2, 6, 2))
        .matching(hidden(teacher_layer(2), student_layer(2)).by(HiddenMse).project(Projection::linear(6, 8)))
        .plan()
        .unwrap();
    let found = losses(&shared);
    assert_eq!(found.len(), 3);
    assert_eq!(found[1], losses(&own)[0]);
    assert_ne!(found[0].1, found[1].1);
    assert_eq!(
        serde_json::from_value::<Plan>(serde_json::to_value(shared.plan()).unwrap()).unwrap(),
        *shared.plan()
    );

    let trained = Trainer::new(shared).observe(Quiet).run(sentences(3, 4, 5)).unwrap();
    assert_eq!(trained.projections().iter().count(), 2);

    let error = Distill::new(toy(2, 8, 1), toy(2, 6, 2))
        .matching(hidden(teacher_layer(1), student_layer(1)).by(HiddenMse).project(&body))
        .matching(
            hidden(teacher_layer(2), student_layer(2))
                .by(HiddenMse)
                .project(Projection::tanh(6, 8).shared("body")),
        )
        .plan()
        .unwrap_err();
    assert!(
        error.to_string().contains("another match declared")
            && error.to_string().contains("hidden_mse_t2_s2"),
        "{error}"
    );
}

struct Quiet;
impl brew_core::observe::Observer for Quiet {
    fn on(&mut self, _: &brew_core::observe::Event<'_>) {}
}
