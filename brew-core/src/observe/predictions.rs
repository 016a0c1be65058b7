//! A model over a whole data set: the logits of its heads, beside the labels.

use tch::{Device, Kind, Tensor};

use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batch, Batches};
use crate::error::{Error, InStage, Result};
use crate::feature::Feature;
use crate::model::{Model, Seen};
use crate::pass::{Pass, Wants};
use crate::role::{Labels, Logits, LogitsMask, Role};

/// The label of an example or a token that does not count, as in PyTorch.
pub(super) const IGNORED: i64 = -100;

/// What a model predicts for each example of a data set, in the order of the batches.
///
/// ```
/// use brew_core::prelude::*;
///
/// # fn main() -> Result<()> {
/// let logits = Tensor::from_slice2(&[[0.1f32, 0.9], [2.0, -1.0]]);
/// let predictions = Predictions::new(vec![logits], vec![Tensor::from_slice(&[1i64, 1])], None)?;
/// assert_eq!(Accuracy.value(&predictions)?, 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Predictions {
    logits: Vec<Tensor>,
    labels: Vec<Tensor>,
    mask: Option<Tensor>,
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
        if logits.is_empty() {
            return Err(Error::invalid("the model gave no `logits` to evaluate"));
        }
        if !labels.is_empty() && labels.len() != logits.len() {
            return Err(Error::invalid(format!(
                "there are {} logits and {} labels: each head needs its own",
                logits.len(),
                labels.len()
            )));
        }
        let rows = |tensor: &Tensor| tensor.size().first().copied();
        if logits.iter().chain(&labels).chain(&mask).any(|tensor| rows(tensor) != rows(&logits[0])) {
            return Err(Error::invalid("logits, labels and mask must have as many rows as one another"));
        }
        Ok(Predictions { logits, labels, mask })
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
        let _guard = tch::no_grad_guard();
        let device = model.parameters().device();
        let pass = Pass::evaluation(Wants::nothing().and_role(Logits::NAME));
        let mut parts = Vec::new();
        for batch in data.epoch(0)? {
            let batch = batch?.to_device(device)?;
            let output = model.run(&batch, &pass).in_stage("evaluation")?;
            let read = |role| Ok::<_, Error>(tensors(model.read(role, &batch, &output)?));
            let mut labels = read(Labels::NAME)?;
            if labels.is_empty() {
                labels.extend(batch.column("labels").map(Tensor::shallow_clone));
            }
            parts.push(Self::part(read(Logits::NAME)?, labels, read(LogitsMask::NAME)?.pop())?);
        }
        if parts.is_empty() {
            return Err(Error::invalid("there is nothing to evaluate: the data has no rows"));
        }
        Self::join(&parts)
    }

    /// One batch on the CPU. Where classes are of tokens, a mask is made if there is none: padding to
    /// the longest batch needs it.
    fn part(logits: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        let on_cpu = |tensor: Tensor| Ok(tensor.f_to_device(Device::Cpu)?);
        let logits = logits.into_iter().map(|logits| on_cpu(logits.f_to_kind(Kind::Float)?));
        let logits = logits.collect::<Result<Vec<_>>>()?;
        let labels = labels.into_iter().map(on_cpu).collect::<Result<Vec<_>>>()?;
        let mask = match (mask.map(on_cpu).transpose()?, logits.first().map(Tensor::size).as_deref()) {
            (Some(mask), _) => Some(mask.f_ne(0)?),
            (None, Some([rows, length, _])) => {
                Some(Tensor::f_ones([*rows, *length], (Kind::Bool, Device::Cpu))?)
            }
            (None, _) => None,
        };
        Self::new(logits, labels, mask)
    }

    fn join(parts: &[Self]) -> Result<Self> {
        let heads = parts[0].logits.len();
        let logits = (0..heads).map(|head| {
            join(parts.iter().filter_map(|part| part.logits.get(head)), |rank| {
                if rank == 2 { f64::NEG_INFINITY } else { 0.0 }
            })
        });
        let labelled = parts.iter().all(|part| !part.labels.is_empty());
        let labels = (0..if labelled { heads } else { 0 })
            .map(|head| join(parts.iter().filter_map(|part| part.labels.get(head)), |_| IGNORED as f64));
        let masks: Vec<&Tensor> = parts.iter().filter_map(|part| part.mask.as_ref()).collect();
        let mask = (!masks.is_empty()).then(|| join(masks, |_| 0.0)).transpose()?;
        Self::new(logits.collect::<Result<_>>()?, labels.collect::<Result<_>>()?, mask)
    }

    /// The logits, one tensor a head, float32 on the CPU.
    pub fn logits(&self) -> &[Tensor] {
        &self.logits
    }

    /// The labels, one tensor a head; empty where the data has none.
    pub fn labels(&self) -> &[Tensor] {
        &self.labels
    }

    /// Which tokens count, `(examples, length)`; `None` where the logits are not of tokens.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// The share, 0 to 1, of examples (of tokens that count, where classes are of tokens) for which
    /// both predict the same class; of a list of heads, all must agree.
    ///
    /// # Errors
    /// When they are of different data.
    pub fn agreement(&self, other: &Predictions) -> Result<f64> {
        let mut agree: Option<Tensor> = None;
        for (ours, theirs) in self.logits.iter().zip(&other.logits) {
            if ours.size() != theirs.size() {
                return Err(Error::invalid(format!(
                    "{:?} predictions cannot be compared with {:?}: they are of different data",
                    ours.size(),
                    theirs.size()
                )));
            }
            let equal = ours.f_argmax(-1, false)?.f_eq_tensor(&theirs.f_argmax(-1, false)?)?;
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

fn tensors(feature: Option<Feature>) -> Vec<Tensor> {
    feature.map(Feature::into_tensors).unwrap_or_default()
}

/// Batches below one another, each padded along the second dimension to the longest.
fn join<'t>(parts: impl IntoIterator<Item = &'t Tensor>, padding: impl Fn(usize) -> f64) -> Result<Tensor> {
    let parts: Vec<&Tensor> = parts.into_iter().collect();
    let length = |part: &Tensor| part.size().get(1).copied();
    let Some(longest) = parts.iter().filter_map(|part| length(part)).max() else {
        return Ok(Tensor::f_cat(&parts, 0)?);
    };
    let padded = parts.iter().map(|part| {
        let missing = longest - length(part).unwrap_or(longest);
        if missing == 0 {
            return Ok(part.shallow_clone());
        }
        let mut sides = vec![0; 2 * (part.dim() - 2)];
        sides.extend([0, missing]);
        Ok(part.f_pad(sides, "constant", padding(part.dim()))?)
    });
    Ok(Tensor::f_cat(&padded.collect::<Result<Vec<_>>>()?, 0)?)
}
