//! TextBrewer's configs: the JSON files of its `DistillationConfig` and `TrainingConfig`, as data.
//!
//! TextBrewer's users can keep their config files. They are read key by key, so that all problems of a file
//! are reported at once, with the nearest valid name. The [`Registry`] defines what names stand for, and you
//! can add your own parts to it; [`GeneralDistiller`](crate::textbrewer::GeneralDistiller) builds a pipeline
//! from the two configs.
//!
//! ```
//! use brew_core::textbrewer::config::DistillationConfig;
//!
//! let config = DistillationConfig::from_json(r#"{
//!     "temperature": 8,
//!     "hard_label_weight": 0.5,
//!     "hard_label_weight_scheduler": "linear_decay",
//!     "intermediate_matches": ["L3_hidden_mse"]
//! }"#)?;
//! assert_eq!(config.intermediate_matches.len(), 4);
//! // What is written is read as the same config.
//! assert_eq!(DistillationConfig::from_json(&serde_json::to_string(&config).unwrap())?, config);
//!
//! let error = DistillationConfig::from_json(r#"{ "temprature": 8, "kd_loss_type": "cee" }"#).unwrap_err();
//! assert_eq!(error.to_string(), "the distillation config cannot be used, 2 problems:\n  \
//!     1. `temprature` is not a key of a distillation config; did you mean `temperature`?\n  \
//!     2. `kd_loss_type` is `cee`; did you mean `ce`?");
//! # Ok::<(), brew_core::Error>(())
//! ```

mod distillation;
mod fields;
mod loss;
mod matches;
mod named;
mod presets;
mod registry;
mod training;

pub use distillation::DistillationConfig;
pub use loss::LossConfig;
pub use matches::{IntermediateMatch, Layers, ProjectionConfig};
pub use named::{Arguments, SchedulerConfig};
pub use presets::preset;
pub use registry::{LayersRead, Registry};
pub use training::TrainingConfig;
