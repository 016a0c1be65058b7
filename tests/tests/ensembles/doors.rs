//! TextBrewer's `BasicDistiller` and `MultiTeacherDistiller` over the two configs.

use brew_core::prelude::*;
use tests::{Sentence, Toy, ToyOutputAdaptor};

fn toy(layers: usize, width: i64, seed: i64) -> Seen<ToyOutputAdaptor> {
    Toy::new(layers, width, seed).seen_by(ToyOutputAdaptor)
}

fn teachers() -> Vec<Seen<ToyOutputAdaptor>> {
    vec![toy(2, 8, 1), toy(2, 8, 2)]
}

fn config(json: &str) -> DistillationConfig {
    DistillationConfig::from_json(json).unwrap()
}

fn plan(json: &str) -> Result<Pipeline<Sentence, ToyOutputAdaptor>> {
    MultiTeacherDistiller::new(&TrainingConfig::default(), &config(json), teachers(), toy(1, 6, 3)).plan()
}

#[test]
fn a_basic_distiller_learns_from_logits_and_labels_and_refuses_matches() {
    let train = TrainingConfig::default();
    let json = r#"{"temperature": 8, "hard_label_weight": 0.5, "kd_loss_type": "mse"}"#;
    let of_config = BasicDistiller::new(&train, &config(json), toy(2, 8, 1), toy(1, 6, 3)).plan().unwrap();
    let of_builder = Distill::new(toy(2, 8, 1), toy(1, 6, 3))
        .semantics(Semantics::TextBrewer)
        .soft_targets(KdMse::at(8.0))
        .hard_labels(0.5)
        .plan()
        .unwrap();
    assert_eq!(of_config.plan(), of_builder.plan());
    let error = BasicDistiller::new(
        &train,
        &config(r#"{"intermediate_matches": ["L3_hidden_mse"]}"#),
        toy(2, 8, 1),
        toy(1, 6, 3),
    )
    .plan()
    .unwrap_err();
    assert!(error.to_string().contains("`intermediate_matches` has 4, and a BasicDistiller learns from logits and labels alone: use a GeneralDistiller"), "{error}");
}

#[test]
fn a_multi_teacher_distiller_means_logits_as_textbrewer_does() {
    let of_config = plan(r#"{"temperature": 8, "probability_shift": true}"#).unwrap();
    let of_builder = Distill::new(teachers(), toy(1, 6, 3))
        .semantics(Semantics::TextBrewer)
        .soft_targets(KdCe::at(8.0).with_probability_shift())
        .plan()
        .unwrap();
    assert_eq!(of_config.plan(), of_builder.plan());
    assert!(of_config.explain().contains("teachers by mean_of_logits"));
}

#[test]
fn a_config_chooses_a_policy_and_the_teacher_of_a_match() {
    let json = r#"{"combine_teachers": {"weighted": [3, 1]}, "intermediate_matches": [
        {"layer_T": 2, "layer_S": 1, "feature": "hidden", "loss": "hidden_mse", "weight": 1, "teacher": 1, "proj": ["linear", 6, 8, {"shared": "body"}]},
        {"layer_T": 1, "layer_S": 1, "feature": "hidden", "loss": "hidden_mse", "weight": 1, "teacher": 0, "proj": ["linear", 6, 8, {"shared": "body"}]}]}"#;
    let of_config = plan(json).unwrap();
    let body = Projection::linear(6, 8).shared("body");
    let of_builder = Distill::new(teachers(), toy(1, 6, 3))
        .semantics(Semantics::TextBrewer)
        .soft_targets(KdCe::at(4.0).combining(Combine::weighted([3.0, 1.0])))
        .matching([
            hidden(teacher(1).layer(2), student_layer(1)).by(HiddenMse).project(&body),
            hidden(teacher(0).layer(1), student_layer(1)).by(HiddenMse).project(&body),
        ])
        .plan()
        .unwrap();
    assert_eq!(of_config.plan(), of_builder.plan());
    // What is written is what was read, and what TextBrewer does not know is written where it was set.
    let written = serde_json::to_value(config(json)).unwrap();
    assert_eq!(serde_json::from_value::<DistillationConfig>(written.clone()).unwrap(), config(json));
    assert_eq!(
        written["intermediate_matches"][0]["proj"],
        serde_json::json!(["linear", 6, 8, {"shared": "body"}])
    );
    assert!(serde_json::to_value(DistillationConfig::default()).unwrap().get("combine_teachers").is_none());
    // What is said in Rust goes before what the file says.
    let of_both =
        MultiTeacherDistiller::new(&TrainingConfig::default(), &config(json), teachers(), toy(1, 6, 3))
            .combining(Combine::ByEntropy)
            .plan()
            .unwrap();
    assert!(of_both.explain().contains("teachers by by_entropy"));
}

#[test]
fn what_is_wrong_with_teachers_in_a_config_is_said() {
    let found = r#""layer_T": 2, "layer_S": 1, "feature": "hidden", "loss": "cos", "weight": 1"#;
    let refusal = |of: &str| {
        plan(&format!(r#"{{"intermediate_matches": [{{{found}{of}}}]}}"#)).unwrap_err().to_string()
    };
    assert!(refusal("").contains(r#"`"teacher": 0` in a config"#), "{}", refusal(""));
    assert!(refusal(r#", "teacher": 2"#).contains("teacher 2, and the pipeline has 2, counted from 0"));
    let error = DistillationConfig::from_json(r#"{"combine_teachers": "mean"}"#).unwrap_err().to_string();
    assert!(error.contains("`combine_teachers` is \"mean\"; it must be `mean_of_logits`"), "{error}");
    let one = config(&format!(r#"{{"intermediate_matches": [{{{found}, "teacher": 1}}]}}"#));
    let error = GeneralDistiller::new(&TrainingConfig::default(), &one, toy(2, 6, 1), toy(1, 6, 3))
        .plan()
        .unwrap_err();
    assert!(error.to_string().contains("teacher 1, and the pipeline has 1, counted from 0"), "{error}");
}
