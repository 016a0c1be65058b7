//! Runs a model over batches and joins what it gives, padded to the longest batch, on the CPU.

use tch::{Device, Kind, Tensor};

use super::Predictions;
use super::parts::Parts;
use crate::adaptor::{Adaptor, Provides};
use crate::batch::Batch as _;
use crate::error::{Error, InStage, Result};
use crate::feature::Feature;
use crate::loss::check_mask;
use crate::model::{Model as _, Seen};
use crate::observe::inputs::{Inputs, input_of};
use crate::pass::{Pass, Wants};
use crate::role::{IGNORED, InputsMask, Labels, Logits, LogitsMask, Role, mask_of};

/// Reduces a batch's tensors, with their mask, to what is kept.
type KeepOfBatch<'k> = dyn Fn(Vec<Tensor>, Option<&Tensor>) -> Result<Vec<Tensor>> + 'k;
/// Reduces a batch with its labels, or leaves it to the other.
type KeepWithLabels<'k, R> = dyn Fn(&Predictions<R>) -> Result<Option<Tensor>> + 'k;

impl<R: Role> Predictions<R> {
    /// What `keep` keeps of these batches.
    pub(super) fn gather<A: Adaptor + Provides<R>>(
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<A::Batch>>,
        keep: &KeepOfBatch<'_>,
        with_labels: &KeepWithLabels<'_, R>,
    ) -> Result<Self> {
        let all = batches.into_iter().map(|batch| batch.map(Some));
        let Parts { parts, .. } = Self::parts(model, all, keep, with_labels)?;
        let parts: Vec<Self> = parts.into_iter().map(|(_, part)| part).collect();
        Ok(Self::join(&parts)?.with_problem(model.problem_type()))
    }

    /// The same batch by batch, without those that are `None`.
    pub(super) fn parts<A: Adaptor + Provides<R>>(
        model: &Seen<A>,
        batches: impl IntoIterator<Item = Result<Option<A::Batch>>>,
        keep: &KeepOfBatch<'_>,
        with_labels: &KeepWithLabels<'_, R>,
    ) -> Result<Parts<R>> {
        let _guard = tch::no_grad_guard();
        let device = model.parameters().device();
        let pass = Pass::evaluation(Wants::nothing().and_role(R::NAME));
        let (mut count, mut parts) = (0, Vec::new());
        for batch in batches {
            count += 1;
            let Some(batch) = batch? else { continue };
            let batch = batch.to_device(device)?;
            let output = model.run(&batch, &pass).in_stage("evaluation")?;
            let read = |role| Ok::<_, Error>(tensors(model.read(role, &batch, &output)?));
            let mut labels = read(Labels::NAME)?;
            if labels.is_empty() {
                labels.extend(batch.column("labels").map(Tensor::shallow_clone));
            }
            for role in [InputsMask::NAME, LogitsMask::NAME] {
                for mask in read(role)? {
                    check_mask(&format!("the model's `{role}`"), &mask, model.reads_documents())?;
                }
            }
            let mask = match mask_of(R::NAME) {
                Some(role) => read(role)?.pop(),
                None => None,
            };
            let documents = read(InputsMask::NAME)?.pop().filter(|mask| mask.dim() == 2);
            // The mask becomes booleans, which tell no documents apart.
            let numbers = mask.as_ref().filter(|mask| documents.is_none() && mask.dim() == 2);
            let numbers = numbers.map(Tensor::shallow_clone);
            let inputs = input_of(&batch, &labels)?;
            let values = read(R::NAME)?;
            let shared = |tensors: &[Tensor]| tensors.iter().map(Tensor::shallow_clone).collect();
            let whole_mask = mask.as_ref().map(|mask| mask.f_ne(0)).transpose()?;
            let whole = Self::of_values(shared(&values), shared(&labels), whole_mask)?;
            let same = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
            let whole = Predictions {
                inputs: inputs.clone(),
                documents: same(&documents),
                numbers: same(&numbers),
                ..whole.with_problem(model.problem_type())
            };
            if let Some(kept) = with_labels(&whole)? {
                let part = Self::part(vec![kept], Vec::new(), None)?;
                parts.push((count - 1, part.that_are_reduced()));
                continue;
            }
            let part = Self::part(keep(values, mask.as_ref())?, labels, mask)?;
            let on_cpu = |mask: Tensor| mask.f_to_device(Device::Cpu);
            let (documents, numbers) = (documents.map(on_cpu).transpose()?, numbers.map(on_cpu).transpose()?);
            parts.push((count - 1, Predictions { inputs, documents, numbers, ..part }));
        }
        Ok(Parts { batches: count, parts })
    }

    /// One batch on the CPU. For token classes a mask is created if there is none, because padding to the
    /// longest batch needs it.
    fn part(values: Vec<Tensor>, labels: Vec<Tensor>, mask: Option<Tensor>) -> Result<Self> {
        let on_cpu = |tensor: Tensor| Ok(tensor.f_to_device(Device::Cpu)?);
        let values = values.into_iter().map(|values| {
            let narrow = matches!(values.f_kind()?, Kind::Half | Kind::BFloat16);
            let wide = narrow || R::NAME == Logits::NAME;
            on_cpu(if wide { values.f_to_kind(Kind::Float)? } else { values })
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        // As unsigned 8-bit numbers, the -100 that pads a shorter batch would become class 156.
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

    /// The parts as one, padded to the longest.
    ///
    /// # Errors
    /// No parts; parts that do not fit together.
    pub(super) fn join(parts: &[Self]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::invalid("nothing to evaluate: the data has no rows"));
        };
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
                "there are {} logits but {} labels: each head needs its own",
                values.len(),
                labels.len()
            )));
        }
        let masks: Vec<&Tensor> = parts.iter().filter_map(|part| part.mask.as_ref()).collect();
        let mask = (!masks.is_empty()).then(|| join(masks, |_| 0.0)).transpose()?;
        let of_all = |masks: Option<Vec<&Tensor>>| masks.map(|masks| join(masks, |_| 0.0)).transpose();
        let documents = of_all(parts.iter().map(|part| part.documents.as_ref()).collect())?;
        let numbers = of_all(parts.iter().map(|part| part.numbers.as_ref()).collect())?;
        let joined = Self::of_values(values, labels, mask)?;
        let inputs = Inputs::of_all(parts.iter().map(|part| part.inputs.clone()));
        let reduced = parts.iter().all(|part| part.reduced);
        Ok(Predictions { inputs, documents, numbers, reduced, ..joined })
    }
}

fn tensors(feature: Option<Feature>) -> Vec<Tensor> {
    feature.map(Feature::into_tensors).unwrap_or_default()
}

/// Concatenates batches, each padded to the largest in every dimension except the first.
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
        // The padding before and after each dimension, last dimension first.
        let sides: Vec<i64> = missing.iter().skip(1).rev().flat_map(|missing| [0, *missing]).collect();
        Ok(part.f_pad(sides, "constant", padding(part.dim()))?)
    });
    Ok(Tensor::f_cat(&padded.collect::<Result<Vec<_>>>()?, 0)?)
}
