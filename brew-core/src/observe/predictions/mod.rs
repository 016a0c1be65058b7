//! Predictions: a model's outputs over a whole data set, together with the labels.

mod agreement;
mod gather;
mod parts;

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
pub(crate) use parts::Parts;

/// A model's outputs for each example of a data set, in the order of the batches: the tensors of one role, by
/// default the logits, and the labels.
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
    /// The documents of the tokens, `(examples, length)`, 0 for padding, if the model's inputs mask says it.
    documents: Option<Tensor>,
    /// The mask with the numbers of documents, which it may have if no inputs mask says them.
    numbers: Option<Tensor>,
    /// The column that the labels copy, if they are the model's input.
    inputs: Inputs,
    /// The problem type that the model states.
    problem: Option<ProblemType>,
    /// Whether the values are what a metric kept of batches and labels.
    reduced: bool,
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
    /// Predictions computed elsewhere.
    ///
    /// - `logits`, one tensor per head: `(examples, classes)`; `(examples, length, classes)` for token
    ///   classes; `(examples, length)` each for the start and the end of a span.
    /// - `labels`, empty if there are none, else one tensor per head: classes, int64, in the shape of the
    ///   logits without `classes`, -100 to ignore; or numbers, in the shape of the logits; for spans
    ///   positions, `(examples,)`.
    /// - `mask`, `(examples, length)`, nonzero where a token counts; `None` if all do.
    ///
    /// # Errors
    /// Missing logits, different numbers of heads and labels, or different numbers of examples.
    pub fn new(logits: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        if !labels.is_empty() && !logits.is_empty() && labels.len() != logits.len() {
            return Err(Error::invalid(format!(
                "there are {} logits but {} labels: each head needs its own",
                logits.len(),
                labels.len()
            )));
        }
        Self::of_values(logits, labels, mask)
    }

    /// Runs a model over the first epoch of some batches, without dropout and gradients.
    ///
    /// Labels come from the adaptor's role, or else from the batch's column `labels`; the mask comes from the
    /// role `logits_mask`. Batches of different lengths are padded to the longest: token logits with 0 under
    /// a mask of 0, position logits with -inf, labels with -100. Everything is kept on the CPU, the logits in
    /// float32.
    pub fn of<A, D>(model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<Logits>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        Self::of_role(model, data)
    }

    /// The logits, one tensor per head, float32 on the CPU.
    pub fn logits(&self) -> &[Tensor] {
        &self.values
    }
}

impl<R: Role> Predictions<R> {
    /// Values of the role `R` computed elsewhere: tensors with one row per example, labels with as many rows,
    /// and a mask `(examples, length)`, nonzero where a position counts.
    ///
    /// # Errors
    /// Missing tensors, or different numbers of examples.
    pub fn of_values(values: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        let rows = |tensor: &Tensor| tensor.size().first().copied();
        let Some(expected) = values.first().map(rows) else {
            return Err(Error::invalid(format!("the model provided no `{}` to evaluate", R::NAME)));
        };
        if values.iter().chain(&labels).chain(&mask).any(|tensor| rows(tensor) != expected) {
            return Err(Error::invalid(format!(
                "{}, labels and mask must have the same number of rows",
                R::NAME
            )));
        }
        Ok(Predictions {
            values,
            labels,
            mask,
            documents: None,
            numbers: None,
            inputs: Inputs::Unknown,
            problem: None,
            reduced: false,
            role: PhantomData,
        })
    }

    /// Like [`Predictions::of`], for a role other than the logits: its tensors are padded with 0, and the
    /// mask is the role's own (see [`mask_of`](crate::role::mask_of)). 16-bit floats are converted to float32.
    ///
    /// # Errors
    /// Those of the data and the model; data without batches.
    pub fn of_role<A, D>(model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<R>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        Self::gather(model, data.epoch(0)?, &|values, _| Ok(values), &|_| Ok(None))
    }

    /// What this metric needs of a model's outputs over the first epoch of some batches: see [`Predictions::of`]. For
    /// perplexity these are two numbers per row instead of all logits.
    ///
    /// # Errors
    /// Those of the data and the model; data without batches; outputs that the metric does not read.
    pub fn for_metric<A, D>(metric: &(impl Metric<R> + ?Sized), model: &Seen<A>, data: &D) -> Result<Self>
    where
        A: Adaptor + Provides<R>,
        D: Batches<Batch = A::Batch> + ?Sized,
    {
        Self::kept_by(metric, model, data.epoch(0)?)
    }

    /// What a metric keeps of these batches, joined.
    pub(crate) fn kept_by<A: Adaptor + Provides<R>>(
        metric: &(impl Metric<R> + ?Sized),
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<A::Batch>>,
    ) -> Result<Self> {
        let with_labels = |batch: &Self| metric.of_labelled_batch(batch);
        Self::gather(model, batches, &|values, mask| metric.of_batch(values, mask), &with_labels)
    }

    /// What a metric keeps of a rank's part of the batches: `None` stands for those of the others.
    pub(crate) fn part_kept_by<A: Adaptor + Provides<R>>(
        metric: &(impl Metric<R> + ?Sized),
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<Option<A::Batch>>>,
    ) -> Result<Parts<R>> {
        let with_labels = |batch: &Self| metric.of_labelled_batch(batch);
        Self::parts(model, batches, &|values, mask| metric.of_batch(values, mask), &with_labels)
    }

    /// What the metric kept of each batch ([`Metric::of_labelled_batch`]), joined: `(rows, numbers)`.
    pub fn reduced(&self) -> Option<&Tensor> {
        self.values.first().filter(|_| self.reduced)
    }

    /// The same, as what a metric kept.
    pub(super) fn that_are_reduced(self) -> Self {
        Predictions { reduced: true, ..self }
    }

    /// The tensors of the role.
    pub fn values(&self) -> &[Tensor] {
        &self.values
    }

    /// The labels, one tensor per head; empty if the data has none.
    pub fn labels(&self) -> &[Tensor] {
        &self.labels
    }

    /// The mask of positions that count, `(examples, length)`; `None` if there is no mask.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// Which positions are tokens, and of which document, `(examples, length)`: 0 for padding; `None` if the model
    /// has no `inputs_mask`.
    pub fn documents(&self) -> Option<&Tensor> {
        self.documents.as_ref()
    }

    /// The mask with the numbers of documents, `(examples, length)`, if there is no inputs mask.
    pub(crate) fn numbers(&self) -> Option<&Tensor> {
        self.numbers.as_ref()
    }

    /// The same predictions with a mask of these numbers.
    pub(crate) fn with_numbers(self, numbers: Option<Tensor>) -> Self {
        Predictions { numbers, ..self }
    }

    /// The same predictions with the inputs mask of their rows: which positions are tokens, and of which document.
    #[must_use]
    pub fn with_documents(self, documents: Tensor) -> Self {
        Predictions { documents: Some(documents), ..self }
    }

    /// The problem type that the model states, if any.
    pub(crate) fn problem(&self) -> Option<ProblemType> {
        self.problem
    }

    /// The same predictions with this problem type.
    pub(crate) fn with_problem(self, problem: Option<ProblemType>) -> Self {
        Predictions { problem, ..self }
    }

    /// The column that the labels are a copy of, if the model reads it.
    pub(crate) fn labels_are_inputs(&self) -> Option<&str> {
        self.inputs.column()
    }
}
