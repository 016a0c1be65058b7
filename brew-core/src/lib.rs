//! brew-core distils neural networks: it trains a student to imitate one or more teachers, with libtorch.
//!
//! You annotate what your models return and compose teachers, student, and losses with a typed builder. If a loss needs
//! something the models don't provide, the program does not compile. The result is a plan that you can print and check;
//! one training loop runs it. brew-core knows nothing about files of data: the crate brew-data turns Arrow data into the
//! batches it trains on, and a `Vec` of batches works too.
//!
//! ```no_run
//! use brew_core::distill::{student_layer, teacher_layer};
//! use brew_core::model::ClassifierOutputAdaptor;
//! use brew_core::prelude::*;
//!
//! # fn example(reviews: Vec<TextBatch>) -> Result<()> {
//! let teacher = BertForSequenceClassification::from_pretrained("models/teacher", Device::Cpu)?;
//! let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::every(2))?;
//! let [teacher, student] = [teacher, student].map(|model| model.seen_by(ClassifierOutputAdaptor));
//! let pipeline = Distill::new(teacher, student)
//!     .soft_targets(loss::KdCe::at(8.0))
//!     .matching([hidden(teacher_layer(6), student_layer(3)).by(loss::HiddenMse)])
//!     .hard_labels(1.0)
//!     .plan()?;
//! println!("{}", pipeline.explain());
//! let student = Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-4)).epochs(3).run(reviews)?;
//! student.save("models/student")
//! # }
//! ```
//!
//! Read these first:
//!
//! 1. [`batch`]: what a model reads. [`#[derive(Batch)]`](derive@prelude::Batch) makes a struct of tensors a batch.
//! 2. [`adaptor`]: what a model returns, and the [`role`] of each part. [`#[distill]`](macro@prelude::distill) annotates
//!    a model, [`#[adaptor]`](macro@prelude::adaptor) is for adaptors written by hand.
//! 3. [`model`]: the traits of a model, brew's own BERT family and BiGRU, and TorchScript teachers.
//! 4. [`mod@distill`]: the builder [`Distill`](distill::Distill), which makes a [`Pipeline`](distill::Pipeline).
//! 5. [`loss`]: the losses, each with its formula, shapes, and source.
//! 6. [`train`]: the [`Trainer`](train::Trainer) with its optimizers, precision, checkpoints, and resuming.
//!
//! Then, as needed: [`generate`](mod@generate) lets a language model write, [`rollout`] trains a student on what it writes,
//! [`plan`] prints and draws a pipeline, [`observe`] has metrics, progress, and reports, [`cache`] saves
//! running the teacher in every epoch, [`schedule`] varies learning rates and weights over a run, [`textbrewer`] reads
//! TextBrewer's configs, and [`execute`] runs a plan on a device. The [`prelude`] has what nearly every program needs.
//!
//! Errors name the stage, role, row, file, or key, and say what to do ([`enum@Error`]).

extern crate self as brew_core;

pub mod adaptor;
pub mod batch;
pub mod cache;
pub mod disk;
pub mod distill;
pub mod error;
pub mod execute;
pub mod feature;
pub mod generate;
mod gguf;
mod json;
pub mod loss;
pub mod model;
pub mod native;
pub mod observe;
pub mod parameters;
pub mod pass;
pub mod plan;
mod random;
pub mod ranks;
pub mod role;
pub mod rollout;
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

/// The items that nearly every distillation program needs; import everything else by its path
/// (`loss::ReverseKl`).
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
