//! One forward pass over a batch, as `#[distill]` writes it for a model.

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
    /// The columns of the batch that it reads; `None` where it may read any. What a teacher cache finds a
    /// row by.
    fn reads(&self) -> Option<Vec<String>> {
        None
    }

    /// What each of the model's own losses ([`Losses`](crate::role::Losses)) counts in their mean, known
    /// before any forward pass: for each of them a tensor of its shape, or of the shape of what a scalar
    /// loss is the mean of; 0 or above, and 0 for what is left out.
    ///
    /// The default, `None`, leaves it to the labels: one of -100 does not count.
    fn losses_count(&self, batch: &B) -> Result<Option<Vec<Tensor>>> {
        let _ = batch;
        Ok(None)
    }
}
