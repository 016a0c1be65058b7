//! The trait for a model's forward pass, implemented by `#[distill]`.

use tch::Tensor;

use crate::error::Result;
use crate::pass::Pass;

/// Runs a model on a batch. Written by `#[distill(batch = …)]` on an `impl` with `fn forward`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `forward` for the batch this adaptor reads",
    label = "this adaptor belongs to another model or another batch",
    note = "write `#[distill(batch = …)]`, with the adaptor's batch, on the `impl` of `{Self}` that holds `fn forward`"
)]
pub trait Forward<B>: 'static {
    /// What the model returns.
    type Output;
    /// One forward pass.
    fn run(&self, batch: &B, pass: &Pass) -> Result<Self::Output>;
    /// The columns of the batch that it reads; `None` if it may read any. A teacher cache looks up rows by
    /// them.
    fn reads(&self) -> Option<Vec<String>> {
        None
    }

    /// The weights of the values of the model's own losses ([`Losses`](crate::role::Losses)) in their mean,
    /// known before any forward pass: for each loss a tensor of its shape, or, for a scalar loss, of the
    /// shape of the values it is the mean of; not negative, and 0 for ignored values.
    ///
    /// The default, `None`, lets the labels decide: a label of -100 does not count.
    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        let _ = batch;
        Ok(None)
    }
}
