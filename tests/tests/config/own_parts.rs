//! The user's own parts, named in a config.

use brew_core::loss::{KdMse, Pkd};
use brew_core::plan::ProjectionActivation;
use brew_core::prelude::*;
use brew_core::role::Role;
use brew_core::schedule::{Cwsm, WeightSchedule};
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::textbrewer::config::{LayersRead, Registry};
use tests::{Sentence, Toy, ToyOutput};

/// `(batch, width)`: a role of the user's own.
pub(crate) struct SentenceEmbedding;
impl Role for SentenceEmbedding {
    const NAME: &'static str = "sentence_embedding";
}

#[test]
fn custom_parts_are_registered_by_name() {
    struct View;
    #[adaptor(batch = Sentence, output = ToyOutput)]
    impl View {
        fn logits(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
        #[role(crate::own_parts::SentenceEmbedding)]
        fn embedding(output: &ToyOutput) -> &Tensor {
            &output.logits
        }
    }
    let registry = Registry::default()
        .feature::<SentenceEmbedding>()
        .match_loss("embedding_loss", LayersRead::One, || Pkd)
        .projection(ProjectionActivation::new("gelu", |features| Ok(features.f_gelu("none")?)))
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
