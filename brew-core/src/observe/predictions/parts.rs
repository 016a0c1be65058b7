//! Predictions of some of the batches of a data set, which several ranks compute and rank 0 joins.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::Predictions;
use crate::error::{Error, Result};
use crate::model::ProblemType;
use crate::observe::inputs::Inputs;
use crate::parameters::{next_of, packed, unpacked};
use crate::role::Role;

/// What a rank predicted of its batches.
#[derive(Debug)]
pub(crate) struct Parts<R: Role> {
    /// How many batches the data has, of all ranks.
    pub(super) batches: usize,
    /// By the number of its batch.
    pub(super) parts: Vec<(usize, Predictions<R>)>,
}

/// Parts in a message: their numbers are in tensors beside it.
#[derive(Serialize, Deserialize)]
struct Outline {
    batches: usize,
    parts: Vec<PartOutline>,
}

#[derive(Serialize, Deserialize)]
struct PartOutline {
    batch: usize,
    values: usize,
    labels: usize,
    mask: bool,
    documents: bool,
    numbers: bool,
    inputs: Inputs,
    reduced: bool,
}

impl<R: Role> Parts<R> {
    /// A message to rank 0.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let (mut outlines, mut tensors) = (Vec::new(), Vec::new());
        for (batch, part) in &self.parts {
            let Predictions { values, labels, mask, documents, numbers, inputs, reduced, .. } = part;
            outlines.push(PartOutline {
                batch: *batch,
                values: values.len(),
                labels: labels.len(),
                mask: mask.is_some(),
                documents: documents.is_some(),
                numbers: numbers.is_some(),
                inputs: inputs.clone(),
                reduced: *reduced,
            });
            let all = values.iter().chain(labels).chain(mask).chain(documents).chain(numbers);
            tensors.extend(all.map(Tensor::shallow_clone));
        }
        packed(&Outline { batches: self.batches, parts: outlines }, tensors)
    }

    /// The parts of a rank.
    fn from_bytes(message: &[u8]) -> Result<Self> {
        let (Outline { batches, parts: outlines }, mut tensors) = unpacked(message)?;
        let mut parts = Vec::new();
        for outline in outlines {
            let mut take =
                |count: usize| (0..count).map(|_| next_of(&mut tensors)).collect::<Result<Vec<_>>>();
            let (values, labels) = (take(outline.values)?, take(outline.labels)?);
            let mut optional = |is_there: bool| Ok::<_, Error>(take(usize::from(is_there))?.pop());
            let mask = optional(outline.mask)?;
            let (documents, numbers) = (optional(outline.documents)?, optional(outline.numbers)?);
            let (inputs, reduced) = (outline.inputs, outline.reduced);
            let part = Predictions::of_values(values, labels, mask)?;
            parts.push((outline.batch, Predictions { documents, numbers, inputs, reduced, ..part }));
        }
        Ok(Parts { batches, parts })
    }
}

impl<R: Role> Predictions<R> {
    /// The predictions of all ranks, in the order of the batches; messages are by rank.
    ///
    /// # Errors
    /// Ranks whose data has other numbers of batches; data without any.
    pub(crate) fn of_ranks(messages: &[Vec<u8>], problem: Option<ProblemType>) -> Result<Self> {
        let mut all = Vec::new();
        let mut batches = None;
        for (rank, message) in messages.iter().enumerate() {
            let of_rank = Parts::from_bytes(message)?;
            let first = *batches.get_or_insert(of_rank.batches);
            if of_rank.batches != first {
                return Err(Error::invalid(format!(
                    "the data to evaluate has {first} batches on rank 0 and {} on rank {rank}: it must be the same on all ranks",
                    of_rank.batches
                )));
            }
            all.extend(of_rank.parts);
        }
        all.sort_by_key(|(batch, _)| *batch);
        let parts: Vec<Self> = all.into_iter().map(|(_, part)| part).collect();
        Ok(Self::join(&parts)?.with_problem(problem))
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::role::Logits;

    #[test]
    fn parts_of_ranks_are_joined_in_the_order_of_their_batches() {
        let part = |value: f32, length: i64| {
            let logits = Tensor::full([1, length, 2], f64::from(value), (Kind::Float, Device::Cpu));
            let labels = Tensor::full([1, length], 1, (Kind::Int64, Device::Cpu));
            let mask = Tensor::ones([1, length], (Kind::Bool, Device::Cpu));
            let part = Predictions::<Logits>::of_values(vec![logits], vec![labels], Some(mask)).unwrap();
            Predictions { inputs: Inputs::Copy("input_ids".into()), ..part }
        };
        let message =
            |batches, parts: Vec<(usize, Predictions)>| Parts { batches, parts }.to_bytes().unwrap();
        let [zero, one] = [vec![(0, part(0.0, 2)), (2, part(2.0, 1))], vec![(1, part(-0.0, 3))]];
        let messages = [message(3, zero), message(3, one)];
        let joined = Predictions::<Logits>::of_ranks(&messages, Some(ProblemType::Regression)).unwrap();
        let alone = Predictions::join(&[part(0.0, 2), part(-0.0, 3), part(2.0, 1)]).unwrap();
        assert_eq!(joined.values(), alone.values());
        assert_eq!((joined.labels(), joined.mask()), (alone.labels(), alone.mask()));
        assert_eq!(joined.labels_are_inputs(), Some("input_ids"));
        assert_eq!(joined.problem(), Some(ProblemType::Regression));
        let told = Predictions::<Logits>::of_ranks(
            &[message(3, vec![(0, part(0.0, 2))]), message(4, Vec::new())],
            None,
        );
        let told = told.unwrap_err().to_string();
        assert!(told.contains("3 batches on rank 0 and 4 on rank 1"), "{told}");
        let nothing =
            Predictions::<Logits>::of_ranks(&[message(0, Vec::new())], None).unwrap_err().to_string();
        assert!(nothing.contains("the data has no rows"), "{nothing}");
    }
}
