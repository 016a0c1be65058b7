//! Pipelines made from configs.

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionMse, HiddenMse, KdCe, Nst};
use brew_core::plan::Projection;
use brew_core::prelude::*;
use brew_core::schedule::Weight;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::preset;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor};

use crate::distiller;

#[test]
fn a_config_and_the_builder_lay_the_same_plan() {
    let config = DistillationConfig::from_json(
        r#"{"temperature": 8, "hard_label_weight": 0.5, "hard_label_weight_scheduler": "linear_decay",
            "intermediate_matches": [
            {"layer_T": 4, "layer_S": -1, "feature": "hidden", "loss": "hidden_mse", "weight": 0.5, "proj": ["tanh", 6, 8, {"lr": 0.003}]},
            {"layer_T": [4, 4], "layer_S": [2, 2], "feature": "hidden", "loss": "mmd", "weight": 1},
            {"layer_T": 3, "layer_S": 1, "feature": "attention", "loss": "attention_mse", "weight": 1}]}"#,
    )
    .unwrap();
    let of_config = distiller(&config).plan().unwrap();
    let of_builder = Distill::new(
        Toy::new(4, 8, 0).seen_by(ToyOutputAdaptor),
        Toy::new(2, 6, 1).seen_by(ToyOutputAdaptor),
    )
    .semantics(Semantics::TextBrewer)
    .soft_targets(KdCe::at(8.0))
    .matching(
        hidden(teacher_layer(4), student_layer(-1))
            .by(HiddenMse)
            .project(Projection::tanh(6, 8).learning_rate(0.003))
            .weight(0.5),
    )
    .matching(hidden(teacher_layer([4, 4]), student_layer([2, 2])).by(Nst))
    .matching(attention(teacher_layer(3), student_layer(1)).by(AttentionMse::textbrewer()))
    .hard_labels(Weight::decaying(0.5))
    .plan()
    .unwrap();
    assert_eq!(of_config.plan(), of_builder.plan());
}

#[test]
fn what_a_config_needs_of_the_adaptors_is_checked_with_everything_else() {
    struct LogitsOnly;
    #[adaptor(batch = Sentence, output = ToyOutput)]
    impl LogitsOnly {
        fn logits(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
    }
    let config = DistillationConfig {
        hard_label_weight: 1.0,
        kd_loss_type: "kd_cee".into(),
        intermediate_matches: preset("small_hidden_mse").unwrap().into_iter().take(1).collect(),
        ..DistillationConfig::default()
    };
    let train = TrainingConfig { ckpt_frequency: 0, ..TrainingConfig::default() };
    let (teacher, student) = (Toy::new(4, 8, 0), Toy::new(2, 6, 1));
    let error = GeneralDistiller::new(
        &train,
        &config,
        teacher.seen_by(ToyOutputAdaptor),
        student.seen_by(LogitsOnly),
    )
    .plan()
    .unwrap_err();
    expect_test::expect![[r#"
        the pipeline cannot run, 4 problems:
          1. `ckpt_frequency` is 0; it must be at least 1
          2. `kd_loss_type` is `kd_cee`; did you mean `kd_ce`?
          3. stage `projection_hidden_mse_t0_s0` reads `hidden`, which `student adaptor` does not provide; there are: `logits`
          4. stage `hard_labels` reads `losses`, which `student adaptor` does not provide; did you mean `logits`?"#]]
    .assert_eq(&error.to_string());
}

#[test]
fn losses_of_weight_zero_are_left_out_unless_asked_for() {
    let losses = |pipeline: Pipeline<Sentence, ToyOutputAdaptor>| -> Vec<String> {
        let stages = pipeline.plan().stages();
        stages
            .filter(|(_, stage)| stage.kind.row().name == "loss")
            .map(|(_, stage)| stage.name.clone())
            .collect()
    };
    let config = DistillationConfig::default();
    assert_eq!(losses(distiller(&config).plan().unwrap()), ["kd_ce"]);
    let all = distiller(&config).with_weightless_losses().plan().unwrap();
    assert_eq!(losses(all), ["kd_ce", "hard_labels"]);
    let config = DistillationConfig { hard_label_weight_scheduler: "linear_growth".to_owned(), ..config };
    assert_eq!(losses(distiller(&config).plan().unwrap()), ["kd_ce", "hard_labels"]);
}

#[test]
fn the_same_match_twice_is_two_losses() {
    let found = preset("small_hidden_smmd").unwrap().remove(0);
    let config = DistillationConfig {
        intermediate_matches: vec![found.clone(), found],
        ..DistillationConfig::default()
    };
    let text = distiller(&config).plan().unwrap().explain();
    assert!(text.contains("nst_t0-0_s0-0 ") && text.contains("nst_t0-0_s0-0_2 "), "{text}");
}
