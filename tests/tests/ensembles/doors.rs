//! TextBrewer's `BasicDistiller` and `MultiTeacherDistiller` over the two configs.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use brew_core::distill::{student_layer, teacher};
use brew_core::loss::{HiddenMse, KdCe, KdMse};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::{Event, Observer};
use brew_core::plan::{Combine, Projection};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::textbrewer::{BasicDistiller, GeneralDistiller, MultiTeacherDistiller};
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
    assert!(error.to_string().contains("`intermediate_matches` has 4, but a BasicDistiller only learns from logits and labels: use a GeneralDistiller"), "{error}");
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
    assert!(refusal(r#", "teacher": 2"#).contains("teacher 2, but the pipeline has 2, counted from 0"));
    let error = DistillationConfig::from_json(r#"{"combine_teachers": "mean"}"#).unwrap_err().to_string();
    assert!(error.contains("`combine_teachers` is \"mean\"; it must be `mean_of_logits`"), "{error}");
    let one = config(&format!(r#"{{"intermediate_matches": [{{{found}, "teacher": 1}}]}}"#));
    let error = GeneralDistiller::new(&TrainingConfig::default(), &one, toy(2, 6, 1), toy(1, 6, 3))
        .plan()
        .unwrap_err();
    assert!(error.to_string().contains("teacher 1, but the pipeline has 1, counted from 0"), "{error}");
}

/// Keeps the losses of every batch.
struct Keep(Rc<RefCell<Vec<Vec<f64>>>>);
impl Observer for Keep {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Batch(report) = event {
            self.0.borrow_mut().push(report.losses.iter().map(|(_, value)| *value).collect());
        }
    }
}

// TextBrewer's own MultiTeacherDistiller (0.2.1.post1, PyTorch 2.11, transformers 5.24), over the first
// four batches of `fixtures/recordings/shifted`; two models of it are the teachers:
//
//   load = lambda name: transformers.AutoModelForSequenceClassification.from_pretrained(F / name)
//   view = lambda batch, o: {"logits": o.logits, "labels": batch["labels"], "losses": o.loss}
//   d = MultiTeacherDistiller(TrainingConfig(device="cpu"), DistillationConfig(temperature=4,
//       hard_label_weight=0.5, probability_shift=True), [load("teacher"), load("student_init")],
//       S := load("student_final"), view, view)
//   with d: d.train(torch.optim.AdamW(S.parameters(), lr=1e-3), batches, num_epochs=1)
//   # its write_loss printed each batch's losses; and at the end
//   sum(p.abs().sum() for n, p in S.named_parameters() if not n.endswith("key.bias"))
#[test]
fn two_teachers_give_the_losses_of_textbrewers_own_run() {
    let _alone = tests::alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/shifted");
    let load = |name: &str| {
        let model = BertForSequenceClassification::from_pretrained(folder.join(name), Device::Cpu).unwrap();
        model.seen_by(ClassifierOutputAdaptor)
    };
    let batches = tests::recorded_batches(&folder, 4);
    let json = r#"{"temperature": 4, "hard_label_weight": 0.5, "probability_shift": true}"#;
    let teachers = vec![load("teacher"), load("student_init")];
    let distiller = MultiTeacherDistiller::new(
        &TrainingConfig::default(),
        &config(json),
        teachers,
        load("student_final"),
    );
    let losses = Rc::new(RefCell::new(Vec::new()));
    let trained = Trainer::new(distiller.plan().unwrap())
        .optimizer(AdamW::with_lr(1e-3))
        .log_every(1)
        .observe(Keep(losses.clone()))
        .run(batches)
        .unwrap();
    let expected = [
        [1.6035823822021484, 1.097983717918396, 1.0111972093582153],
        [1.6764907836914062, 1.099671721458435, 1.1536381244659424],
        [1.6889894008636475, 1.100416898727417, 1.1771448850631714],
        [1.683145523071289, 1.101470708847046, 1.1633495092391968],
    ];
    for (found, expected) in losses.take().iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "found {found}, expected {expected}");
        }
    }
    let parameters = trained.student().parameters();
    let judged = parameters.iter().filter(|(name, _)| !name.ends_with("key.bias"));
    let sum: f64 = judged.map(|(_, tensor)| tensor.abs().sum(Kind::Double).double_value(&[])).sum();
    assert!((sum - 564.2557483324781).abs() < 1e-2, "{sum}");
}
