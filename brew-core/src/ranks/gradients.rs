//! One step of training on several ranks: whose micro-batches, and the sum of the gradients.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::agreement;
use super::group::Group;
use crate::error::Result;
use crate::native::ffi::{Exchange, set_gradient};
use crate::parameters::Parameters;

/// Bytes per message: the copy of the gradients that is under way stays small.
pub(super) const MESSAGE: usize = 32 << 20;

/// What a rank knows of a parameter's gradient.
pub(super) const ABSENT: u8 = 0;
const DENSE: u8 = 1;
pub(super) const SPARSE: u8 = 2;
const UNSUITABLE: u8 = 3;

pub(super) const CALL: &str = "sum_gradients";

impl Group {
    /// Which of the micro-batches of a step are this rank's: consecutive ones, possibly none. The shares of all ranks
    /// differ by at most one and cover each micro-batch once.
    pub fn share(&self, micro_batches: usize) -> Range<usize> {
        share(micro_batches, self.rank(), self.world_size())
    }

    /// Replaces each gradient by its sum over all ranks: a rank without a gradient, because it had no micro-batch or did
    /// not use the parameter, counts as zeros and gets the sum too. A parameter without a gradient on any rank stays
    /// without. Buffers are left alone. The sum of sparse gradients, as embeddings have them, is sparse and has the rows
    /// of all ranks. A tensor with several names is summed once.
    ///
    /// It is a sum, never a mean: divide each loss by what it counts over all ranks before the backward pass.
    ///
    /// # Errors
    /// Those of [`Group::all_reduce`]; a gradient that is not on the CPU, is sparse in more than its first dimension, or
    /// is sparse on one rank and dense on another, with the name of its parameter.
    pub fn sum_gradients(&mut self, parameters: &Parameters) -> Result<()> {
        let named: Vec<(&str, &Tensor)> = parameters.distinct().collect();
        let own = named.iter().map(|(_, tensor)| state(&tensor.grad())).collect::<Result<Vec<u8>>>()?;
        let states = self.all_gather_bytes(&own)?;
        // Every rank finds this, so none continues alone.
        if let Some(rank) = states.iter().position(|states| states.len() != own.len()) {
            let text = format!("rank {rank} has {} parameters, this one {}", states[rank].len(), own.len());
            return Err(self.ranks.error(CALL, text));
        }
        let (mut dense, mut sparse) = (Vec::new(), Vec::new());
        for (index, (name, tensor)) in named.iter().enumerate() {
            let of_ranks: Vec<u8> = states.iter().map(|states| states[index]).collect();
            match kind(&of_ranks) {
                Ok(ABSENT) => {}
                Ok(SPARSE) => sparse.push(*tensor),
                Ok(_) => {
                    let gradient = tensor.grad();
                    if !gradient.defined() {
                        set_gradient(tensor, &tensor.f_detach()?.f_zeros_like()?)?;
                    }
                    dense.push(tensor.grad());
                }
                Err(text) => {
                    return Err(self.ranks.error(CALL, format!("the gradient of `{name}` {text}")));
                }
            }
        }
        // In the same order and the same messages each time: where an element lies decides the order of its sum.
        let mut pending = Vec::new();
        for message in messages(&dense, MESSAGE) {
            pending.push(self.start(CALL, Exchange::Sum, message)?);
        }
        pending.into_iter().try_for_each(|pending| self.wait(pending))?;
        sparse.into_iter().try_for_each(|parameter| self.sum_rows(parameter))
    }

    /// Replaces a sparse gradient by the sum over all ranks: the rows of all, added up in the order of ranks.
    fn sum_rows(&mut self, parameter: &Tensor) -> Result<()> {
        let gradient = Some(parameter.grad()).filter(Tensor::defined);
        let (rows, values): (Vec<Tensor>, Vec<Tensor>) =
            self.gather_rows(parameter, gradient.as_ref())?.into_iter().unzip();
        let (rows, values) = (Tensor::f_cat(&rows, 1)?, Tensor::f_cat(&values, 0)?);
        let place = (parameter.kind(), Device::Cpu);
        let sum = Tensor::f_sparse_coo_tensor_indices_size(&rows, &values, parameter.size(), place, false)?;
        set_gradient(parameter, &sum.f_coalesce()?)
    }

    /// The rows of a sparse gradient and their values, by rank.
    pub(super) fn gather_rows(
        &mut self,
        parameter: &Tensor,
        gradient: Option<&Tensor>,
    ) -> Result<Vec<(Tensor, Tensor)>> {
        let (rows, values) = match gradient {
            Some(gradient) => {
                let once = gradient.f_coalesce()?;
                (once.f_internal_indices()?.f_detach()?, once.f_internal_values()?.f_detach()?)
            }
            None => {
                let empty = [&[0], &parameter.size()[1..]].concat();
                let place = (parameter.kind(), Device::Cpu);
                (Tensor::f_zeros([1, 0], (Kind::Int64, Device::Cpu))?, Tensor::f_zeros(empty, place)?)
            }
        };
        let counts = self.all_gather(&[Tensor::f_from_slice(&[rows.size()[1]])?])?;
        let counts: Vec<i64> =
            counts.iter().flatten().map(|count| count.f_int64_value(&[0])).collect::<Result<_, _>>()?;
        let longest = counts.iter().copied().max().unwrap_or(0);
        let padded = |tensor: &Tensor, dimension: i64| -> Result<Tensor> {
            let mut missing = tensor.size();
            missing[usize::try_from(dimension).unwrap_or(0)] = longest - rows.size()[1];
            let zeros = Tensor::f_zeros(missing, (tensor.kind(), Device::Cpu))?;
            Ok(Tensor::f_cat(&[tensor, &zeros], dimension)?)
        };
        let all = self.all_gather(&[padded(&rows, 1)?, padded(&values, 0)?])?;
        let cut = |(of, count): (&Vec<Tensor>, &i64)| {
            Ok((of[0].f_narrow(1, 0, *count)?, of[1].f_narrow(0, 0, *count)?))
        };
        all.iter().zip(&counts).map(cut).collect()
    }
}

/// The share of a rank: see [`Group::share`].
pub(crate) fn share(micro_batches: usize, rank: usize, world_size: usize) -> Range<usize> {
    let begin = |rank: usize| micro_batches * rank / world_size;
    begin(rank)..begin(rank + 1)
}

pub(super) fn state(gradient: &Tensor) -> Result<u8> {
    Ok(match gradient.defined() {
        false => ABSENT,
        true if gradient.device() != Device::Cpu => UNSUITABLE,
        true if !gradient.is_sparse() => DENSE,
        true if gradient.f_sparse_dim()? == 1 => SPARSE,
        true => UNSUITABLE,
    })
}

/// What the ranks know together, or why they cannot sum it.
pub(super) fn kind(of_ranks: &[u8]) -> Result<u8, String> {
    let with = |state: u8| -> Vec<usize> {
        (of_ranks.iter().enumerate()).filter(|(_, known)| **known == state).map(|(rank, _)| rank).collect()
    };
    let (dense, sparse, unsuitable) = (with(DENSE), with(SPARSE), with(UNSUITABLE));
    if !unsuitable.is_empty() {
        let ranks = agreement::named(&unsuitable);
        return Err(format!(
            "is not on the CPU, or sparse in more than its first dimension, on {ranks}, which is not supported yet"
        ));
    }
    match (dense.is_empty(), sparse.is_empty()) {
        (true, true) => Ok(ABSENT),
        (false, true) => Ok(DENSE),
        (true, false) => Ok(SPARSE),
        (false, false) => Err(format!(
            "is dense on {} and sparse on {}: make it the same on all ranks",
            agreement::named(&dense),
            agreement::named(&sparse)
        )),
    }
}

/// Runs of gradients, each of at most this many bytes or a single one.
pub(super) fn messages(gradients: &[Tensor], most: usize) -> Vec<&[Tensor]> {
    let bytes = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
    let (mut messages, mut begin, mut size) = (Vec::new(), 0, 0);
    for (index, gradient) in gradients.iter().enumerate() {
        if size > 0 && size + bytes(gradient) > most {
            messages.push(&gradients[begin..index]);
            (begin, size) = (index, 0);
        }
        size += bytes(gradient);
    }
    if begin < gradients.len() {
        messages.push(&gradients[begin..]);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_each_micro_batch_once_and_differ_by_at_most_one() {
        for (count, world_size) in [(4, 1), (4, 2), (4, 3), (2, 3), (0, 2), (7, 4), (64, 64)] {
            let shares: Vec<Range<usize>> =
                (0..world_size).map(|rank| share(count, rank, world_size)).collect();
            let all: Vec<usize> = shares.iter().cloned().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            let sizes = || shares.iter().map(|share| share.len());
            assert!(sizes().max() <= sizes().min().map(|least| least + 1));
        }
    }

    #[test]
    fn messages_are_cut_by_bytes() {
        let of = |count: usize| Tensor::zeros([count as i64], (Kind::Float, Device::Cpu));
        let most = MESSAGE / 4;
        let gradients = [of(10), of(most), of(most - 10), of(10), of(1), of(0)];
        let lengths: Vec<usize> = messages(&gradients, MESSAGE).iter().map(|message| message.len()).collect();
        assert_eq!(lengths, [1, 1, 2, 2]);
        assert!(messages(&[], MESSAGE).is_empty());
    }
}
