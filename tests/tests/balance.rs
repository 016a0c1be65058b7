//! Balancing losses in a pipeline: what the plan says, what is learned, what is rejected. The formulas are tested next to
//! their code, with numbers from PyTorch.

use brew_core::distill::{minilm_v2, tiny_bert};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::execute::Executor;
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::LayerMap;
use brew_core::observe::{Event, Observer};
use brew_core::pass::Wants;
use brew_core::plan::Balance;
use brew_core::plan::Plan;
use brew_core::prelude::*;
use brew_core::textbrewer::config::DistillationConfig;
use tests::{Sentence, Toy, ToyOutputAdaptor, alone, sentences};

struct Quiet;
impl Observer for Quiet {
    fn on(&mut self, _: &Event<'_>) {}
}

fn declared(balance: Balance) -> Result<Pipeline<Sentence, ToyOutputAdaptor>> {
    Distill::new(Toy::new(2, 8, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 8, 1).seen_by(ToyOutputAdaptor))
        .soft_targets(KdCe::at(2.0).weight(0.5))
        .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse))
        .hard_labels(1.0)
        .balanced(balance)
        .plan()
}

#[test]
fn a_plan_shows_its_balance_and_keeps_it_on_disk() {
    let _alone = alone();
    let pipeline = declared(Balance::Uncertainty).unwrap();
    assert!(pipeline.explain().contains("by learned uncertainty"), "{}", pipeline.explain());
    let written = serde_json::to_string(pipeline.plan()).unwrap();
    assert!(written.contains(r#""balance":"uncertainty""#), "{written}");
    assert_eq!(&serde_json::from_str::<Plan>(&written).unwrap(), pipeline.plan());
    let plain = declared(Balance::Weights).unwrap();
    assert!(!serde_json::to_string(plain.plan()).unwrap().contains("balance"));
    assert_ne!(plain.plan(), pipeline.plan());
}

#[test]
fn a_balance_of_a_loss_that_is_not_there_is_refused() {
    let _alone = alone();
    let error = declared(Balance::magnitude_of("hard_label")).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "the losses are scaled to `hard_label`, but no loss has that name; did you mean `hard_labels`?"
        ),
        "{error}"
    );
}

#[test]
fn terms_are_scaled_to_the_chosen_one() {
    let _alone = alone();
    let pipeline = declared(Balance::magnitude_of("hard_labels")).unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let pass = Pass::training(0, Wants::nothing());
    let losses = executor.run(&sentences(1, 4, 5)[0], &pass, None).unwrap();
    let hard = losses.terms.iter().find(|(name, _)| name == "hard_labels").unwrap().1.double_value(&[]);
    // Three terms of one size, with weights of 0.5, 1 and 1.
    assert!((losses.total.double_value(&[]) - 2.5 * hard).abs() < 1e-9);
}

#[test]
fn variances_are_trained_and_returned() {
    let _alone = alone();
    let trainer = Trainer::new(declared(Balance::Uncertainty).unwrap())
        .optimizer(AdamW::with_lr(0.05))
        .epochs(3)
        .observe(Quiet);
    let trained = trainer.run(sentences(3, 4, 5)).unwrap();
    let learned: Vec<(&str, f64)> =
        trained.projections().iter().map(|(name, tensor)| (name, tensor.double_value(&[0]))).collect();
    let names: Vec<&str> = learned.iter().map(|(name, _)| *name).collect();
    let expected = ["hard_labels", "hidden_mse_t2_s1", "kd_ce"];
    assert_eq!(names, expected.map(|name| format!("balance.{name}.log_variance")));
    assert!(learned.iter().all(|(_, log)| log.abs() > 1e-3), "{learned:?}");
}

#[test]
fn accumulated_batches_share_the_part_that_is_no_loss() {
    let _alone = alone();
    let pipeline = declared(Balance::Uncertainty).unwrap();
    let executor = Executor::new(&pipeline, 0).unwrap();
    let batches = sentences(2, 4, 5);
    let window = executor.window(&batches).unwrap();
    for batch in &batches {
        let pass = Pass::training(0, Wants::nothing());
        executor.run(batch, &pass, Some(&window)).unwrap().total.backward();
    }
    let terms: f64 = {
        let mut sum = 0.0;
        for batch in &batches {
            let pass = Pass::training(0, Wants::nothing());
            let losses = executor.run(batch, &pass, Some(&window)).unwrap();
            sum += losses.terms.iter().find(|(name, _)| name == "hard_labels").unwrap().1.double_value(&[]);
        }
        sum
    };
    let learned = executor.learned();
    let (_, log) = learned.iter().find(|(name, _)| name.contains("hard_labels")).unwrap();
    // d/ds of (exp(-s) L + s) / 2 at s = 0, over the whole window.
    assert!((log.grad().double_value(&[0]) - (1.0 - terms) / 2.0).abs() < 1e-9);
}

#[test]
fn a_config_names_a_balance_and_writes_it_back() {
    let json = r#"{"balance": {"magnitude_of": "kd_ce"}, "hard_label_weight": 1}"#;
    let config = DistillationConfig::from_json(json).unwrap();
    assert_eq!(config.balance, Balance::magnitude_of("kd_ce"));
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(DistillationConfig::from_json(&written).unwrap(), config);
    let error = DistillationConfig::from_json(r#"{"balance": "uncertain"}"#).unwrap_err().to_string();
    assert!(error.contains("`balance` is \"uncertain\"; it must be `weights`, `uncertainty`"), "{error}");
}

#[test]
fn tinybert_is_a_preset_by_name_and_a_call() {
    let config = DistillationConfig::from_json(r#"{"intermediate_matches": ["TinyBERT_4_312"]}"#).unwrap();
    let (of_hidden, of_attention) = tiny_bert(&LayerMap::uniform(12, 4).unwrap(), 312, 768);
    let names: Vec<&str> = of_hidden
        .iter()
        .map(|found| found.name())
        .chain(of_attention.iter().map(|found| found.name()))
        .collect();
    let of_config: Vec<String> = config
        .intermediate_matches
        .iter()
        .map(|found| {
            let [teacher, student] = [&found.layer_t, &found.layer_s].map(|layers| layers.indices()[0]);
            format!("{}_t{teacher}_s{student}", found.loss.name)
        })
        .collect();
    assert_eq!(of_config, names);
    assert_eq!(config.intermediate_matches[0].proj.as_ref().unwrap().student, 312);
}

#[test]
fn the_relations_of_minilm_are_three_matches() {
    let (query, key, value) = minilm_v2(5, 2, 4);
    assert_eq!(
        [query.name(), key.name(), value.name()],
        ["query", "key", "value"].map(|role| format!("minilm_relation_{role}_t5_s2"))
    );
}
