//! A model over a whole data set: what it gives, the logits unless another role is named, beside the labels.

use std::fmt;
use std::marker::PhantomData;

use tch::{Device, Kind, Tensor};

use super::inputs::{Inputs, input_of};
use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batch, Batches};
use crate::error::{Error, InStage, Result};
use crate::feature::Feature;
use crate::loss::zeros_and_ones;
use crate::model::{Model, ProblemType, Seen};
use crate::observe::Metric;
use crate::pass::{Pass, Wants};
use crate::role::{IGNORED, InputsMask, Labels, Logits, LogitsMask, Role, mask_of};

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

    /// The share, 0 to 1, of examples (of tokens that count, where classes are of tokens) for which
    /// both predict the same class; of a list of heads, all must agree. Where any number of classes may apply
    /// (the model's `problem_type` is `multi_label_classification`), both must predict the same ones.
    ///
    /// # Errors
    /// When they are of different data, or are numbers, which have no class.
    pub fn agreement(&self, other: &Predictions) -> Result<f64> {
        let mut agree: Option<Tensor> = None;
        for (ours, theirs) in self.values.iter().zip(&other.values) {
            if ours.size() != theirs.size() {
                return Err(Error::invalid(format!(
                    "{:?} predictions cannot be compared with {:?}: they are of different data",
                    ours.size(),
                    theirs.size()
                )));
            }
            let equal = match self.problem.or(other.problem) {
                Some(ProblemType::MultiLabelClassification) => {
                    ours.f_gt(0.0)?.f_eq_tensor(&theirs.f_gt(0.0)?)?.f_all_dim(-1, false)?
                }
                Some(ProblemType::Regression) => return Err(numbers_do_not_agree()),
                _ if self.values.len() == 1 && ours.size().last() == Some(&1) => {
                    return Err(numbers_do_not_agree());
                }
                _ => ours.f_argmax(-1, false)?.f_eq_tensor(&theirs.f_argmax(-1, false)?)?,
            };
            agree = Some(match agree {
                Some(before) => before.f_logical_and(&equal)?,
                None => equal,
            });
        }
        let Some(agree) = agree else { return Ok(0.0) };
        let agree = match &self.mask {
            Some(mask) => agree.f_masked_select(mask)?,
            None => agree,
        };
        Ok(if agree.numel() == 0 { 0.0 } else { agree.f_mean(Kind::Double)?.f_double_value(&[])? })
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

    fn gather<A: Adaptor + Provides<R>>(
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<A::Batch>>,
        keep: &Keep<'_>,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let device = model.parameters().device();
        let pass = Pass::evaluation(Wants::nothing().and_role(R::NAME));
        let mut parts = Vec::new();
        for batch in batches {
            let batch = batch?.to_device(device)?;
            let output = model.run(&batch, &pass).in_stage("evaluation")?;
            let read = |role| Ok::<_, Error>(tensors(model.read(role, &batch, &output)?));
            let mut labels = read(Labels::NAME)?;
            if labels.is_empty() {
                labels.extend(batch.column("labels").map(Tensor::shallow_clone));
            }
            for role in [InputsMask::NAME, LogitsMask::NAME] {
                for mask in read(role)? {
                    zeros_and_ones(&format!("the model's `{role}`"), &mask)?;
                }
            }
            let mask = match mask_of(R::NAME) {
                Some(role) => read(role)?.pop(),
                None => None,
            };
            let inputs = input_of(&batch, &labels)?;
            let values = keep(read(R::NAME)?, mask.as_ref())?;
            let part = Self::part(values, labels, mask)?;
            parts.push(Predictions { inputs, ..part });
        }
        if parts.is_empty() {
            return Err(Error::invalid("there is nothing to evaluate: the data has no rows"));
        }
        Ok(Self::join(&parts)?.with_problem(model.problem_type()))
    }

    /// One batch on the CPU. Where classes are of tokens, a mask is made if there is none: padding to
    /// the longest batch needs it.
    fn part(values: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        let on_cpu = |tensor: Tensor| Ok(tensor.f_to_device(Device::Cpu)?);
        let values = values.into_iter().map(|values| {
            let narrow = matches!(values.f_kind()?, Kind::Half | Kind::BFloat16);
            let wide = narrow || R::NAME == Logits::NAME;
            on_cpu(if wide { values.f_to_kind(Kind::Float)? } else { values })
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        // In 8 bits without a sign the -100 that a shorter batch is padded with would be the class 156.
        let labels = labels.into_iter().map(|labels| match labels.f_kind()? {
            Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8 => on_cpu(labels.f_to_kind(Kind::Int64)?),
            _ => on_cpu(labels),
        });
        let labels = labels.collect::<Result<Vec<_>>>()?;
        let mask = match (mask.map(on_cpu).transpose()?, values.first().map(Tensor::size).as_deref()) {
            (Some(mask), _) => Some(mask.f_ne(0)?),
            (None, Some([rows, length, _])) => {
                Some(Tensor::f_ones([*rows, *length], (Kind::Bool, Device::Cpu))?)
            }
            (None, _) => None,
        };
        Self::of_values(values, labels, mask)
    }

    fn join(parts: &[Self]) -> Result<Self> {
        let first = &parts[0];
        let values = (0..first.values.len()).map(|index| {
            join(parts.iter().filter_map(|part| part.values.get(index)), |rank| {
                if rank == 2 && R::NAME == Logits::NAME { f64::NEG_INFINITY } else { 0.0 }
            })
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        let labelled = parts.iter().all(|part| part.labels.len() == first.labels.len());
        let labels = (0..if labelled { first.labels.len() } else { 0 })
            .map(|index| join(parts.iter().filter_map(|part| part.labels.get(index)), |_| IGNORED as f64));
        let labels = labels.collect::<Result<Vec<_>>>()?;
        if R::NAME == Logits::NAME && !labels.is_empty() && labels.len() != values.len() {
            return Err(Error::invalid(format!(
                "there are {} logits and {} labels: each head needs its own",
                values.len(),
                labels.len()
            )));
        }
        let masks: Vec<&Tensor> = parts.iter().filter_map(|part| part.mask.as_ref()).collect();
        let mask = (!masks.is_empty()).then(|| join(masks, |_| 0.0)).transpose()?;
        let joined = Self::of_values(values, labels, mask)?;
        Ok(Predictions { inputs: Inputs::of_all(parts.iter().map(|part| part.inputs)), ..joined })
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

/// What is kept of a batch's tensors and their mask.
type Keep<'k> = dyn Fn(Vec<Tensor>, Option<&Tensor>) -> Result<Vec<Tensor>> + 'k;

fn numbers_do_not_agree() -> Error {
    Error::invalid(
        "one logit, or the numbers of a regression, have no class that two models could agree on: compare them by `Pearson` or `Spearman` against the same labels",
    )
}

fn tensors(feature: Option<Feature>) -> Vec<Tensor> {
    feature.map(Feature::into_tensors).unwrap_or_default()
}

/// Batches below one another, each padded to the largest in every dimension but the first.
fn join<'t>(parts: impl IntoIterator<Item = &'t Tensor>, padding: impl Fn(usize) -> f64) -> Result<Tensor> {
    let parts: Vec<&Tensor> = parts.into_iter().collect();
    let mut largest: Vec<i64> = Vec::new();
    for part in &parts {
        let size = part.size();
        largest.resize(largest.len().max(size.len()), 0);
        largest.iter_mut().zip(&size).for_each(|(largest, size)| *largest = (*largest).max(*size));
    }
    let padded = parts.iter().map(|part| {
        let missing =
            part.size().iter().zip(&largest).map(|(size, largest)| largest - size).collect::<Vec<_>>();
        if missing.iter().skip(1).all(|missing| *missing == 0) {
            return Ok(part.shallow_clone());
        }
        // The last dimension first, and what goes before and behind it.
        let sides: Vec<i64> = missing.iter().skip(1).rev().flat_map(|missing| [0, *missing]).collect();
        Ok(part.f_pad(sides, "constant", padding(part.dim()))?)
    });
    Ok(Tensor::f_cat(&padded.collect::<Result<Vec<_>>>()?, 0)?)
}
