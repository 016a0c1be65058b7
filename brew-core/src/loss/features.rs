//! The inputs of a loss from one side: features, their mask, and other roles that it reads.

use std::collections::BTreeMap;

use tch::Tensor;

use super::term;
use crate::error::{Error, Result};
use crate::role::{Index, Labels, Role};

/// The inputs of a loss from one side.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Features {
    /// The features, one tensor per layer that the loss compares (for logits: one). If only a teacher's top k
    /// logits are known, there are three: the classes (int64) and their logits, both `(…, k)`, and the
    /// logsumexp of all logits, `(…)`.
    pub tensors: Vec<Tensor>,
    /// Which positions count, `(batch, length)`: `inputs_mask` for hidden states and attention, `logits_mask` for
    /// logits. 0 or 1, or the number of the document in packed rows.
    pub mask: Option<Tensor>,
    /// Which positions are tokens, and of which document, `(batch, length)`: the side's `inputs_mask`, where a loss
    /// reads one.
    pub documents: Option<Tensor>,
    /// Other roles that the loss reads: see [`Loss::also_reads`](super::Loss::also_reads).
    pub also: BTreeMap<&'static str, Tensor>,
}

impl Features {
    /// These tensors, one per layer, without a mask.
    pub fn of(tensors: Vec<Tensor>) -> Self {
        Features { tensors, ..Features::default() }
    }

    /// One tensor without a mask.
    pub fn one(tensor: Tensor) -> Self {
        Features::of(vec![tensor])
    }

    /// Two layers, for losses that compare the relation between two layers.
    pub fn two(first: Tensor, second: Tensor) -> Self {
        Features::of(vec![first, second])
    }

    /// Other tensors with the same mask and the same other roles.
    #[must_use]
    pub fn with_tensors(&self, tensors: Vec<Tensor>) -> Self {
        Features {
            tensors,
            mask: self.mask.as_ref().map(Tensor::shallow_clone),
            documents: self.documents.as_ref().map(Tensor::shallow_clone),
            also: self.also.iter().map(|(role, tensor)| (*role, tensor.shallow_clone())).collect(),
        }
    }

    /// The same with each tensor changed.
    pub(super) fn changed(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(self.with_tensors(self.tensors.iter().map(change).collect::<Result<_>>()?))
    }

    /// The same with a mask.
    #[must_use]
    pub fn with_mask(self, mask: Tensor) -> Self {
        Features { mask: Some(mask), ..self }
    }

    /// The same with the inputs mask, which says which positions are tokens, and of which document.
    #[must_use]
    pub fn with_documents(self, documents: Tensor) -> Self {
        Features { documents: Some(documents), ..self }
    }

    /// The same with the value of another role.
    #[must_use]
    pub fn with<R: Role>(mut self, value: Tensor) -> Self {
        self.also.insert(R::NAME, value);
        self
    }

    /// The first tensor, in float32 or wider.
    pub(crate) fn first(&self) -> Result<Tensor> {
        term::wide(self.feature()?)
    }

    /// The first tensor, in its own dtype.
    pub(crate) fn feature(&self) -> Result<&Tensor> {
        self.tensors.first().ok_or_else(|| Error::invalid("a loss was given no feature to read"))
    }

    /// Both tensors, in float32 or wider.
    pub(crate) fn both(&self) -> Result<(Tensor, Tensor)> {
        match self.tensors.as_slice() {
            [first, second] => Ok((term::wide(first)?, term::wide(second)?)),
            other => Err(Error::invalid(format!(
                "a loss over two layers was given {}: choose two, such as `student_layer([0, 2])`",
                other.len()
            ))),
        }
    }

    /// The sizes of the first tensor; empty without one.
    pub(crate) fn shape(&self) -> Vec<i64> {
        self.tensors.first().map(Tensor::size).unwrap_or_default()
    }

    /// The value of a role that the loss declared to read.
    pub fn also<R: Role>(&self) -> Result<&Tensor> {
        self.also.get(R::NAME).ok_or_else(|| {
            Error::invalid(format!("a loss was given no `{}`, which it reads beside its features", R::NAME))
        })
    }

    /// The labels: `(batch,)` or `(batch, length)`, int64; a negative one does not count.
    pub fn labels(&self) -> Result<&Tensor> {
        self.also::<Labels>()
    }

    /// The rows of the data: `(batch,)`, int64.
    pub fn index(&self) -> Result<&Tensor> {
        self.also::<Index>()
    }
}
