//! A model over a whole data set: what it gives, the logits unless another role is named, beside the labels.

mod agreement;
mod gather;

use std::fmt;
use std::marker::PhantomData;

use tch::Tensor;

use super::Metric;
use super::inputs::Inputs;
use crate::adaptor::{Adaptor, Provides};
use crate::batch::Batches;
use crate::error::{Error, Result};
use crate::model::{ProblemType, Seen};
use crate::role::{Logits, Role};

/// What a model gives for each example of a data set, in the order of the batches: the tensors of one role,
/// the logits unless another is named, beside the labels.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::observe::Predictions;
///
/// # fn main() -> Result<()> {
/// let logits = Tensor::from_slice2(&[[0.1f32, 0.9], [2.0, -1.0]]);
/// let predictions = Predictions::new(vec![logits], vec![Tensor::from_slice(&[1i64, 1])], None)?;
/// assert_eq!(Accuracy.value(&predictions)?, 0.5);
/// # Ok(())
/// # }
/// ```
pub struct Predictions<R: Role = Logits> {
    values: Vec<Tensor>,
    labels: Vec<Tensor>,
    mask: Option<Tensor>,
    /// Where the labels are what the model reads, the column.
    inputs: Inputs,
    /// What the model says of its head.
    problem: Option<ProblemType>,
    role: PhantomData<fn() -> R>,
}

impl<R: Role> fmt::Debug for Predictions<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Predictions")
            .field("role", &R::NAME)
            .field("values", &self.values)
            .field("labels", &self.labels)
            .field("mask", &self.mask)
            .finish()
    }
}

impl Predictions {
    /// Predictions that were made elsewhere.
    ///
    /// - `logits`, one tensor a head: `(examples, classes)`; `(examples, length, classes)` for classes
    ///   of tokens; `(examples, length)` each for the start and the end of a span.
    /// - `labels`, empty where there are none, else one tensor a head: classes, int64, of the shape of
    ///   the logits without `classes`, -100 where none is asked for; or numbers, in the shape of the
    ///   logits; for spans positions, `(examples,)`.
    /// - `mask`, `(examples, length)`, not 0 where a token counts; `None` where all do.
    ///
    /// # Errors
    /// When there are no logits, when heads and labels differ in number, or any in their examples.
    pub fn new(logits: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        if !labels.is_empty() && !logits.is_empty() && labels.len() != logits.len() {
            return Err(Error::invalid(format!(
                "there are {} logits and {} labels: each head needs its own",
                logits.len(),
                labels.len()
            )));
        }
        Self::of_values(logits, labels, mask)
    }

    /// Runs a model over the first epoch of some batches, without dropout and without gradients.
    ///
    /// Labels are those of the adaptor's role, or else the batch's column `labels`; the mask is that of
    /// the role `logits_mask`. Batches of different lengths are padded to the longest: logits of tokens
    /// with 0 under a mask of 0, logits of positions with -inf, labels with -100. All of it is kept on
    /// the CPU, the logits in float32.
    pub fn of<A, D>(model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<Logits>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        Self::of_role(model, data)
    }

    /// The logits, one tensor a head, float32 on the CPU.
    pub fn logits(&self) -> &[Tensor] {
        &self.values
    }
}

impl<R: Role> Predictions<R> {
    /// What a model gives of the role `R`, made elsewhere: tensors with a row an example, labels with as
    /// many rows, and `(examples, length)`, not 0 where a position counts.
    ///
    /// # Errors
    /// When there are no tensors, or any differ in their examples.
    pub fn of_values(values: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        let rows = |tensor: &Tensor| tensor.size().first().copied();
        let Some(expected) = values.first().map(rows) else {
            return Err(Error::invalid(format!("the model gave no `{}` to evaluate", R::NAME)));
        };
        if values.iter().chain(&labels).chain(&mask).any(|tensor| rows(tensor) != expected) {
            return Err(Error::invalid(format!(
                "{}, labels and mask must have as many rows as one another",
                R::NAME
            )));
        }
        Ok(Predictions { values, labels, mask, inputs: Inputs::Unknown, problem: None, role: PhantomData })
    }

    /// As [`Predictions::of`], of another role than the logits: its tensors are padded with 0, and the mask
    /// is the role's own (see [`mask_of`]). Floats of 16 bits are kept in float32.
    ///
    /// # Errors
    /// Those of the data and the model; no batch.
    pub fn of_role<A, D>(model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<R>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        Self::gather(model, data.epoch(0)?, &|values, _| Ok(values))
    }

    /// What a metric keeps of these batches.
    pub(crate) fn kept_by<A: Adaptor + Provides<R>>(
        metric: &(impl Metric<R> + ?Sized),
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<A::Batch>>,
    ) -> Result<Self> {
        Self::gather(model, batches, &|values, mask| metric.of_batch(values, mask))
    }

    /// The tensors of the role: one, or the list of them.
    pub fn values(&self) -> &[Tensor] {
        &self.values
    }

    /// The labels, one tensor a head; empty where the data has none.
    pub fn labels(&self) -> &[Tensor] {
        &self.labels
    }

    /// Which positions count, `(examples, length)`; `None` where there are none.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// What the model says of its head, where it says so.
    pub(crate) fn problem(&self) -> Option<ProblemType> {
        self.problem
    }

    /// The same predictions of a head that means this.
    pub(crate) fn with_problem(self, problem: Option<ProblemType>) -> Self {
        Predictions { problem, ..self }
    }

    /// The column that the labels are a copy of, where that is what the model reads.
    pub(crate) fn labels_are_inputs(&self) -> Option<&'static str> {
        self.inputs.column()
    }
}
