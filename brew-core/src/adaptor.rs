//! Adaptors: which part of a batch or of a model's output plays which role.
//!
//! `#[distill]` on an output type makes one from its fields' roles, `#[adaptor]` one from
//! hand-written functions. [`Provides`] is the marker that the compiler checks pipelines with; the
//! values themselves are read in one place, [`Adaptor::read`].
//!
//! ```
//! use brew_core::prelude::*;
//! use brew_core::pass::Wants;
//!
//! #[derive(Batch)]
//! struct Review {
//!     #[column(i64, pad = 0)]
//!     input_ids: Tensor, // (batch, length)
//!     #[column(i64)]
//!     labels: Option<Tensor>, // (batch,)
//! }
//!
//! // The fields' own roles, and a column's: `PredictionAdaptor`.
//! #[distill(batch = Review, labels = labels)]
//! struct Prediction {
//!     #[role(logits)]
//!     logits: Tensor, // (batch, classes)
//!     #[role(hidden)]
//!     hidden_states: Vec<Tensor>, // layers + 1 of (batch, length, width)
//! }
//!
//! // Columns by name, and what the pass is for.
//! struct Classifier(Tensor);
//!
//! #[distill(batch = Review)]
//! impl Classifier {
//!     fn forward(&self, input_ids: &Tensor, pass: &Pass) -> Result<Prediction> {
//!         let embedded = Tensor::f_embedding(&self.0, input_ids, -1, false, false)?;
//!         let logits = embedded.f_mean_dim(1, false, Kind::Float)?;
//!         let kept = pass.wants().layer::<role::Hidden>(0, 1);
//!         Ok(Prediction { logits, hidden_states: vec![if kept { embedded } else { Tensor::new() }] })
//!     }
//! }
//!
//! // By hand, one function a role: the embeddings are not for this one.
//! struct LogitsOnly;
//!
//! #[adaptor(batch = Review, output = Prediction)]
//! impl LogitsOnly {
//!     fn logits(output: &Prediction) -> &Tensor {
//!         &output.logits
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let model = Classifier(Tensor::from_slice2(&[[1f32, 0.], [0., 3.]]));
//! let batch = Review { input_ids: Tensor::from_slice2(&[[0i64, 1]]), labels: None };
//! let output = model.run(&batch, &Pass::evaluation(Wants::nothing()))?;
//! let logits = PredictionAdaptor::read("logits", &batch, &output)?;
//! assert_eq!(logits.map(|logits| logits.into_tensors()), Some(vec![Tensor::from_slice2(&[[0.5f32, 1.5]])]));
//! assert_eq!(PredictionAdaptor::ROLES, ["logits", "hidden", "labels"]);
//! assert_eq!(LogitsOnly::ROLES, ["logits"]);
//! # Ok(())
//! # }
//! ```

use crate::batch::Batch;
use crate::error::Result;
use crate::feature::Feature;
use crate::role::Role;

/// Reads roles from a batch and from what a model made of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an adaptor",
    label = "not an adaptor",
    note = "write `#[adaptor]` on `impl {Self}`, or pass the adaptor that `#[distill]` made of your output type: `{Self}Adaptor`"
)]
pub trait Adaptor: 'static {
    /// The batch it reads.
    type Batch: Batch;
    /// What the model returns.
    type Output: 'static;
    /// The names of the roles it provides.
    const ROLES: &'static [&'static str];
    /// Whether a value that needs a forward pass is made of the batch as well as of the output. A teacher
    /// cache then finds a row by all of its columns, and not only by those that the model reads.
    const READS_BATCH: bool = true;

    /// The value of a role; `None` where the adaptor lacks it or the value is absent.
    fn read(role: &str, batch: &Self::Batch, output: &Self::Output) -> Result<Option<Feature>>;

    /// The value of a role that the batch alone gives, before any forward pass; `None` for others.
    ///
    /// It lets a window of batches be counted before it is run.
    fn read_batch(role: &str, batch: &Self::Batch) -> Result<Option<Feature>>;
}

/// An output with an adaptor of its own, which `#[distill]` on its type makes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no adaptor of its own",
    label = "the model returns a `{Self}`, which `#[distill]` does not stand on",
    note = "write `#[distill(batch = …)]` on `struct {Self}`, or name an adaptor: `.seen_by(…)`"
)]
pub trait Adapted: Sized + 'static {
    /// The adaptor that reads it.
    type Adaptor: Adaptor<Output = Self>;
}

/// Says that an adaptor provides a role.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide the role `{R}`",
    label = "needs an adaptor that provides `{R}`",
    note = "mark a field of the output type with the role, or add a function of that name to `#[adaptor] impl {Self}`; or leave out the loss that reads `{R}`"
)]
pub trait Provides<R: Role>: Adaptor {}

/// Says that a side of a pipeline gives a role: the student, a teacher, or all teachers of an ensemble.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give the role `{R}`",
    label = "the loss needs `{R}` of every teacher and of the student",
    note = "add a function of that name to `#[adaptor] impl …`, mark a field with the role, or leave out the loss"
)]
pub trait Gives<R: Role> {}
