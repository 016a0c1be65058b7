//! Roles, losses, plan, executor and training loop for distilling neural networks with libtorch.

extern crate self as brew_core;

pub mod adaptor;
pub mod batch;
pub mod cache;
pub mod disk;
pub mod distill;
pub mod error;
pub mod execute;
pub mod feature;
mod json;
pub mod loss;
pub mod model;
pub mod native;
pub mod observe;
pub mod parameters;
pub mod pass;
pub mod plan;
pub mod role;
mod row_key;
pub mod schedule;
pub mod semantics;
pub mod side;
pub mod textbrewer;
pub mod train;
pub mod vocabulary;
pub mod words;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, Result};
pub use tch;

/// What nearly every program that distils needs in scope; all else is imported by its path (`loss::ReverseKl`).
pub mod prelude {
    pub use crate::adaptor::Adaptor;
    pub use crate::batch::{Batch, Batches};
    pub use crate::distill::{AndMore, Distill, Pipeline, Supervised, WithWeight, attention, hidden};
    pub use crate::error::{Error, Result};
    pub use crate::loss::{self, Loss};
    pub use crate::model::{BertForSequenceClassification, Forward, Keep, Model, Seen, SeenBy, TextBatch};
    pub use crate::observe::{Accuracy, Metric};
    pub use crate::parameters::Parameters;
    pub use crate::pass::Pass;
    pub use crate::role;
    pub use crate::schedule::Decay;
    pub use crate::train::{AdamW, Precision, Trainer};
    pub use brew_macros::{Batch, adaptor, distill};
    pub use tch::{Device, Kind, Tensor};
}
