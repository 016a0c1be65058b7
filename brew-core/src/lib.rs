//! Roles, losses, plan, executor and training loop for distilling neural networks with libtorch.

extern crate self as brew_core;

pub mod adaptor;
pub mod batch;
pub mod error;
pub mod feature;
pub mod model;
pub mod pass;
pub mod plan;
pub mod role;

#[doc(hidden)]
pub mod __private;

pub use error::{Error, Result};
pub use tch;

/// What a program that distils needs in scope.
pub mod prelude {
    pub use crate::adaptor::{Adaptor, Provides};
    pub use crate::batch::{Batch, Batches, Both};
    pub use crate::error::{Error, Result};
    pub use crate::model::{
        BertForSequenceClassification, ClassifierOutput, ClassifierOutputAdaptor, Keep, TextBatch,
    };
    pub use crate::model::{Forward, Model, Parameters, Seen, SeenBy};
    pub use crate::pass::{Pass, Wants};
    pub use crate::role;
    pub use brew_macros::{Batch, adaptor, distill};
    pub use tch::{Device, Kind, Tensor};
}
