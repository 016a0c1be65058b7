//! Adaptors: which part of a batch or of a model's output plays which role.
//!
//! `#[distill]` on an output type makes one from its fields' roles, `#[adaptor]` one from
//! hand-written functions. [`Provides`] is the marker that the compiler checks pipelines with; the
//! values themselves are read in one place, [`Adaptor::read`].

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

    /// The value of a role; `None` where the adaptor lacks it or the value is absent.
    fn read(role: &str, batch: &Self::Batch, output: &Self::Output) -> Result<Option<Feature>>;

    /// The value of a role that the batch alone gives, before any forward pass; `None` for others.
    ///
    /// It lets a window of batches be counted before it is run.
    fn read_batch(role: &str, batch: &Self::Batch) -> Result<Option<Feature>>;
}

/// Says that an adaptor provides a role.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide the role `{R}`",
    label = "needs an adaptor that provides `{R}`",
    note = "mark a field of the output type with the role, or add a function of that name to `#[adaptor] impl {Self}`; or leave out the loss that reads `{R}`"
)]
pub trait Provides<R: Role>: Adaptor {}
