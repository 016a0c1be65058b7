//! Batches that bring a teacher's output, so that the teacher does not run (TextBrewer's `teacher_cache`).
//!
//! ```
//! use brew_core::batch::WithTeacherOutput;
//! use brew_core::prelude::*;
//!
//! #[derive(Batch)]
//! struct Review {
//!     #[column(i64, pad = 0)]
//!     input_ids: Tensor, // (batch, length)
//! }
//!
//! #[distill(batch = Review)]
//! struct Prediction {
//!     #[role(logits)]
//!     logits: Tensor, // (batch, classes)
//! }
//!
//! # fn example(review: Review, logits: Tensor) {
//! // What the data holds of the teacher; its adaptor, `PredictionAdaptor`, reads it.
//! let batch = WithTeacherOutput::of(review, Prediction { logits });
//! // The teacher itself need not be loaded.
//! let teacher = Seen::given(PredictionAdaptor);
//! # }
//! ```

use std::any::Any;

use tch::{Device, Tensor};

use super::Feeds;
use crate::error::Result;

/// A model's output as tensors that can be sliced and moved together with their batch.
///
/// `#[distill]` implements it for a struct whose fields are tensors, or options or lists of them; for other
/// types it takes a few lines that map each tensor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given with a batch",
    label = "its tensors are not known",
    note = "`#[distill(batch = …)]` on a struct of tensors makes it known; else write `impl brew_core::batch::Output for {Self}`"
)]
pub trait Output: Sized + Send + 'static {
    /// The same output with `change` applied to each of its tensors.
    ///
    /// # Errors
    /// Those of `change`.
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self>;
}

impl Output for Tensor {
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        change(self)
    }
}

impl<O: Output> Output for Option<O> {
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.as_ref().map(|output| output.map(change)).transpose()
    }
}

impl<O: Output> Output for Vec<O> {
    fn map(&self, change: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.iter().map(|output| output.map(change)).collect()
    }
}

/// A batch, or [`Both`](super::Both) batches, together with teachers' outputs.
///
/// Teachers whose output is given do not run; their adaptors read the given output. This works with any
/// distiller, role and loss.
#[derive(Debug)]
pub struct WithTeacherOutput<F, O> {
    batch: F,
    outputs: Vec<O>,
}

impl<F, O: Output> WithTeacherOutput<F, O> {
    /// The output of the only teacher.
    pub fn of(batch: F, output: O) -> Self {
        Self::of_each(batch, [output])
    }

    /// The outputs of several teachers of one type, in the teachers' order; teachers without an output here
    /// do run.
    pub fn of_each(batch: F, outputs: impl IntoIterator<Item = O>) -> Self {
        WithTeacherOutput { batch, outputs: outputs.into_iter().collect() }
    }
}

impl<T, S, F: Feeds<T, S>, O: Output> Feeds<T, S> for WithTeacherOutput<F, O> {
    fn teacher(&self) -> &T {
        self.batch.teacher()
    }
    fn student(&self) -> &S {
        self.batch.student()
    }
    fn first_rows(&self, rows: usize) -> Result<Self> {
        let batch = self.batch.first_rows(rows)?;
        // A scalar belongs to the whole batch; a tensor that the model did not keep is undefined.
        let cut = &mut |tensor: &Tensor| match tensor.defined() && tensor.dim() > 0 {
            true => {
                let there = tensor.size().first().copied().unwrap_or(0);
                Ok(tensor.f_narrow(0, 0, i64::try_from(rows).unwrap_or(i64::MAX).min(there))?)
            }
            false => Ok(tensor.shallow_clone()),
        };
        Ok(WithTeacherOutput { batch, outputs: self.outputs.map(cut)? })
    }
    fn to_device(&self, device: Device) -> Result<Self> {
        let batch = self.batch.to_device(device)?;
        let moved = &mut |tensor: &Tensor| match tensor.defined() {
            true => Ok(tensor.f_to_device(device)?),
            false => Ok(tensor.shallow_clone()),
        };
        Ok(WithTeacherOutput { batch, outputs: self.outputs.map(moved)? })
    }
    fn teacher_output(&self, teacher: usize) -> Option<&dyn Any> {
        self.outputs.get(teacher).map(|output| output as &dyn Any)
    }
}
