//! TextBrewer's configs: read, written, refused, and made into pipelines.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its case must fail")]

use brew_core::config::{Arguments, LayersRead, Registry, preset};
use brew_core::loss::KdMse;
use brew_core::plan::Activation;
use brew_core::prelude::*;
use brew_core::role::Role;
use tests::{Sentence, Toy, ToyOutput, ToyOutputAdaptor, trajectory};

fn distiller(distill: &DistillationConfig) -> GeneralDistiller<ToyOutputAdaptor, ToyOutputAdaptor> {
    let (teacher, student) = (Toy::new(4, 8, 0), Toy::new(2, 6, 1));
    let (teacher, student) = (teacher.seen_by(ToyOutputAdaptor), student.seen_by(ToyOutputAdaptor));
    GeneralDistiller::new(&TrainingConfig::default(), distill, teacher, student)
}

fn refusal(json: &str) -> String {
    DistillationConfig::from_json(json).unwrap_err().to_string()
}

#[test]
fn textbrewers_own_files_are_read_and_written() {
    let config = DistillationConfig::from_json_file(trajectory("distill.json")).unwrap();
    assert_eq!((config.temperature, config.hard_label_weight), (8.0, 0.5));
    assert_eq!(config.hard_label_weight_scheduler, "linear_decay");
    let names: Vec<&str> = config.intermediate_matches.iter().map(|found| found.loss.as_str()).collect();
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
          3. `intermediate_matches[0].layer_S` is [1,2,3]; it must be a layer, such as 4, or two in a list, such as [0, 4]
          4. `intermediate_matches[0].weigth` is not a key of a match; did you mean `weight`?
          5. `intermediate_matches[1].loss` is missing; it must be a text
          6. `intermediate_matches[2].proj[3].lrate` is not a key of a projection's settings; there are: `lr`, `betas`, `eps`, `weight_decay`
          7. `intermediate_matches[3].proj` is ["linear",6]; it must be [name, student width, teacher width], and after them settings of the optimizer such as {"lr": 0.001}
          8. `intermediate_matches[6]`: `L3_hiden_mse` is not a list of matches; did you mean `L3_hidden_mse`?
          9. `temperature` is -1; it must be finite and above 0
          10. `temperature_scheduler`: `flsw` lacks `gamma`: write ["flsw", 1.0]
          11. `hard_label_weight_scheduler` is `linear_deacy`; did you mean `linear_decay`?
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
          5. `fp16` is true, and training is in float32 on one device: leave the key out"#]]
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
        kd_loss_type: "kl".to_owned(),
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
          2. `kd_loss_type` is `kl`; there are: `ce`, `mse`
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

// The table of TextBrewer's examples/matches/matches.py.
#[test]
fn presets_are_textbrewers() {
    let layers = |name: &str| -> Vec<(Vec<i64>, Vec<i64>)> {
        let matches = preset(name).unwrap();
        matches.iter().map(|found| (found.layer_t.indices(), found.layer_s.indices())).collect()
    };
    let one = |pairs: &[(i64, i64)]| -> Vec<_> { pairs.iter().map(|(t, s)| (vec![*t], vec![*s])).collect() };
    let two = |pairs: &[(i64, i64)]| -> Vec<_> {
        pairs.iter().map(|(t, s)| (vec![*t, *t], vec![*s, *s])).collect()
    };
    for loss in ["mse", "mse_sum", "ce", "ce_mean"] {
        assert_eq!(layers(&format!("L3_attention_{loss}")), one(&[(4, 1), (8, 2), (12, 3)]));
        assert_eq!(layers(&format!("L4_attention_{loss}")), one(&[(3, 1), (6, 2), (9, 3), (12, 4)]));
    }
    for name in ["L3_hidden_mse", "L3n_hidden_mse", "L3l_hidden_mse"] {
        assert_eq!(layers(name), one(&[(0, 0), (4, 1), (8, 2), (12, 3)]));
    }
    assert_eq!(layers("L3_hidden_smmd"), two(&[(0, 0), (4, 1), (8, 2), (12, 3)]));
    assert_eq!(layers("L4t_hidden_mse"), one(&[(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]));
    assert_eq!(layers("L4t_hidden_sgram"), two(&[(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]));
    assert_eq!(layers("L4_hidden_smmd"), layers("L4t_hidden_sgram"));
    let sixth = [(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (10, 5), (12, 6)];
    assert_eq!((layers("L6_hidden_mse"), layers("L6_hidden_smmd")), (one(&sixth), two(&sixth)));
    let small = [0, 2, 4, 6, 8, 10, 12].map(|layer| (layer, layer));
    assert_eq!((layers("small_hidden_mse"), layers("small_hidden_smmd")), (one(&small), two(&small)));
    let width =
        |name: &str| preset(name).unwrap()[0].proj.as_ref().map(|found| (found.student, found.teacher));
    let widths =
        ["L3n_hidden_mse", "L3l_hidden_mse", "L4t_hidden_sgram", "small_hidden_mse", "L6_hidden_mse"];
    assert_eq!(
        widths.map(width),
        [Some((384, 768)), Some((1024, 768)), Some((312, 768)), Some((256, 768)), None]
    );
    let error = preset("L4_hidden_mse").unwrap_err().to_string();
    assert!(error.contains("did you mean `L"), "{error}");
}

/// `(batch, width)`: a role of the user's own.
struct SentenceEmbedding;
impl Role for SentenceEmbedding {
    const NAME: &'static str = "sentence_embedding";
}

#[test]
fn parts_of_ones_own_are_registered_by_name() {
    struct View;
    #[adaptor(batch = Sentence, output = ToyOutput)]
    impl View {
        fn logits(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
        #[role(crate::SentenceEmbedding)]
        fn embedding(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
    }
    let registry = Registry::default()
        .feature::<SentenceEmbedding>()
        .match_loss("embedding_loss", LayersRead::One, || Pkd)
        .projection(Activation::new("gelu", |features| Ok(features.f_gelu("none")?)))
        .soft_targets("colder", |temperature, _| Box::new(KdMse::at(temperature / 2.0)))
        .weight_schedule(WeightSchedule::new("late", |done| if done < 0.5 { 0.0 } else { 1.0 }))
        .temperature_schedule("surer", &[("beta", Some(0.25))], |numbers| Cwsm::new(-numbers[0]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("distill.json");
    std::fs::write(
        &path,
        r#"{"kd_loss_type": "colder", "kd_loss_weight_scheduler": "late", "temperature_scheduler": "surer",
            "intermediate_matches": [{"layer_T": 0, "layer_S": 0, "feature": "sentence_embedding",
                                      "loss": "embedding_loss", "weight": 1, "weight_scheduler": "late", "proj": ["gelu", 3, 3]}]}"#,
    )
    .unwrap();
    assert!(DistillationConfig::from_json_file(&path).is_err());
    let config = DistillationConfig::from_json_file_with(&path, &registry).unwrap();
    let (teacher, student) = (Toy::new(2, 8, 0).seen_by(View), Toy::new(1, 8, 1).seen_by(View));
    let text = GeneralDistiller::new(&TrainingConfig::default(), &config, teacher, student)
        .registry(registry)
        .plan()
        .unwrap()
        .explain();
    for found in ["temperature 2", "weight 1, late", "sentence_embedding[0]", "pkd_t0_s0", "gelu 3 -> 3"] {
        assert!(text.contains(found), "{found} is not in\n{text}");
    }
}
