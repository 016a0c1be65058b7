//! Files and texts: what is read, what is written, what is rejected.

use brew_core::textbrewer::config::Arguments;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::trajectory;

use crate::distiller;

fn refusal(json: &str) -> String {
    DistillationConfig::from_json(json).unwrap_err().to_string()
}

#[test]
fn textbrewers_own_files_are_read_and_written() {
    let config = DistillationConfig::from_json_file(trajectory("distill.json")).unwrap();
    assert_eq!((config.temperature, config.hard_label_weight), (8.0, 0.5));
    assert_eq!(config.hard_label_weight_scheduler, "linear_decay");
    let names: Vec<&str> = config.intermediate_matches.iter().map(|found| found.loss.name.as_str()).collect();
    assert_eq!(names, ["hidden_mse", "hidden_mse", "nst", "cos"]);
    let projection = config.intermediate_matches[1].proj.as_ref().unwrap();
    assert_eq!((projection.name.as_str(), projection.student, projection.teacher), ("tanh", 32, 48));
    assert_eq!(projection.optimizer.learning_rate, Some(0.003));
    // What is written holds the very values that were read, and is read as the same config.
    let written = serde_json::to_value(&config).unwrap();
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(trajectory("distill.json")).unwrap()).unwrap();
    for (key, value) in file["intermediate_matches"][1].as_object().unwrap() {
        assert_eq!(&written["intermediate_matches"][1][key], value, "{key}");
    }
    assert_eq!(serde_json::from_value::<DistillationConfig>(written).unwrap(), config);

    let config = TrainingConfig::from_json_file(trajectory("train.json")).unwrap();
    assert_eq!((config.gradient_accumulation_steps, config.ckpt_steps), (2, Some(12)));
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(TrainingConfig::from_json(&written).unwrap(), config);
}

#[test]
fn an_empty_config_has_textbrewers_defaults() {
    let config = DistillationConfig::from_json("{}").unwrap();
    assert_eq!(config, DistillationConfig::default());
    assert_eq!((config.temperature, config.kd_loss_weight, config.hard_label_weight), (4.0, 1.0, 0.0));
    let config = TrainingConfig::from_json("{}").unwrap();
    assert_eq!((config.output_dir.as_str(), config.device.as_str()), ("./saved_models", "cuda"));
    assert!(!std::path::Path::new("saved_models").exists(), "a config made a folder");
}

#[test]
fn schedulers_of_temperatures_are_read_in_every_form() {
    let read = |form: &str| {
        let config =
            DistillationConfig::from_json(&format!(r#"{{"temperature_scheduler": {form}}}"#)).unwrap();
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(DistillationConfig::from_json(&written).unwrap(), config);
        config.temperature_scheduler
    };
    assert_eq!(read(r#""none""#).arguments, Arguments::None);
    assert_eq!(read(r#""constant""#).name, "constant");
    assert_eq!(read(r#"["flsw", 1, 2]"#).arguments, Arguments::InOrder(vec![1.0, 2.0]));
    let named = [("beta".to_owned(), 1.0), ("gamma".to_owned(), 2.0)].into();
    assert_eq!(read(r#"["flsw", {"beta": 1, "gamma": 2}]"#).arguments, Arguments::ByName(named));
    let stage = |form: &str| {
        let config = DistillationConfig::from_json(&format!(r#"{{"temperature_scheduler": {form}}}"#));
        distiller(&config.unwrap()).plan().unwrap().explain()
    };
    assert_eq!(stage(r#"["flsw", 1, 2]"#), stage(r#"["flsw", {"gamma": 2, "beta": 1}]"#));
    assert!(stage(r#"["cwsm", 0.5]"#).contains(r#"{"cwsm":{"beta":0.5}}"#));
}

#[test]
fn everything_that_is_wrong_with_a_config_comes_at_once() {
    expect_test::expect![[r#"
        the distillation config cannot be used, 17 problems:
          1. `kd_loss_weight` is "1"; it must be a number
          2. `kd_los_type` is not a key of a distillation config; did you mean `kd_loss_type`?
          3. `intermediate_matches[0].weigth` is not a key of a match; did you mean `weight`?
          4. `intermediate_matches[1].loss` is missing; it must be the name of a loss, or [name, {option: value}]
          5. `intermediate_matches[2].proj[3].lrate` is not a key of a projection's settings; there are: `lr`, `betas`, `eps`, `weight_decay`, `shared`
          6. `intermediate_matches[3].proj` is ["linear",6]; it must be [name, student width, teacher width], optionally followed by optimizer settings such as {"lr": 0.001}
          7. `intermediate_matches[6]`: `L3_hiden_mse` is not a list of matches; did you mean `L3_hidden_mse`?
          8. `temperature` is -1; it must be finite and above 0
          9. `temperature_scheduler`: `flsw` lacks `gamma`: write ["flsw", 1.0]
          10. `hard_label_weight_scheduler` is `linear_deacy`; did you mean `linear_decay`?
          11. `intermediate_matches[0]`: `hidden_mse` compares one layer with one: write a number for each of `layer_T` and `layer_S`
          12. `intermediate_matches[2].feature` is `hiden`; did you mean `hidden`?
          13. `intermediate_matches[2].loss` is `hidden_msee`; did you mean `hidden_mse`?
          14. `intermediate_matches[2].proj[0]` is `gelu`; did you mean `relu`?
          15. `intermediate_matches[4]`: `nst` compares two layers with two: write a list of two for each of `layer_T` and `layer_S`
          16. `intermediate_matches[5]`: `cos` compares one layer with one: write a number for each of `layer_T` and `layer_S`
          17. `intermediate_matches[5].weight_scheduler` is `linear`; there are: `linear_decay`, `linear_growth`"#]]
    .assert_eq(&refusal(
        r#"{
        "temperature": -1, "kd_loss_weight": "1", "kd_los_type": "ce",
        "temperature_scheduler": ["flsw", 1], "hard_label_weight_scheduler": "linear_deacy",
        "intermediate_matches": [
            {"layer_T": 1, "layer_S": [1, 2, 3], "feature": "hidden", "loss": "hidden_mse", "weigth": 1},
            {"layer_T": 1, "layer_S": 1, "feature": "hidden", "weight": 1},
            {"layer_T": 1, "layer_S": 1, "feature": "hiden", "loss": "hidden_msee", "proj": ["gelu", 6, 8, {"lrate": 1}]},
            {"layer_T": 1, "layer_S": 1, "feature": "hidden", "loss": "nst", "proj": ["linear", 6]},
            {"layer_T": 1, "layer_S": 1, "feature": "hidden", "loss": "nst"},
            {"layer_T": [1, 2], "layer_S": [1, 1], "feature": "hidden", "loss": "cos", "weight_scheduler": "linear"},
            "L3_hiden_mse"
        ]}"#,
    ));
    expect_test::expect![[r#"
        the training config cannot be used, 5 problems:
          1. `ckpt_step` is not a key of a training config; did you mean `ckpt_steps`?
          2. `gradient_accumulation_steps` is 0; it must be at least 1
          3. `ckpt_epoch_frequency` is 0; it must be at least 1
          4. `device` is `gpu`; it must be `cpu`, `cuda` or `cuda:0`
          5. `fp16` is true, which needs Apex: remove the key and call `.precision(Precision::F16)` on the trainer, or `Precision::Bf16` if the device is fast at it"#]]
    .assert_eq(
        &TrainingConfig::from_json(
            r#"{"gradient_accumulation_steps": 0, "ckpt_epoch_frequency": 0, "ckpt_step": 2, "device": "gpu", "fp16": true}"#,
        )
        .unwrap_err()
        .to_string(),
    );
}

#[test]
fn a_file_that_is_no_config_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distill.json");
    std::fs::write(&path, "{\"temperature\": }").unwrap();
    let error = DistillationConfig::from_json_file(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: not JSON: ", path.display())), "{error}");
    assert!(refusal("[1]").contains("distillation config is [1]; it must be an object"));
}
