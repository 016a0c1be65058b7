//! One step of training on several ranks: whose micro-batches, and the sum of the gradients.

use std::ops::Range;

use tch::{Device, Tensor};

use super::group::Group;
use crate::error::Result;
use crate::native::ffi::{Exchange, set_gradient};
use crate::parameters::Parameters;

/// Bytes per message: the copy of the gradients that is under way stays small.
const MESSAGE: usize = 32 << 20;

/// What a rank knows of a parameter's gradient.
const ABSENT: u8 = 0;
const DENSE: u8 = 1;
const UNSUITABLE: u8 = 2;

impl Group {
    /// Which of the micro-batches of a step are this rank's: consecutive ones, possibly none. The shares of all ranks
    /// differ by at most one and cover each micro-batch once.
    pub fn share(&self, micro_batches: usize) -> Range<usize> {
        share(micro_batches, self.rank(), self.world_size())
    }

    /// Replaces each gradient by its sum over all ranks: a rank without a gradient, because it had no micro-batch or did
    /// not use the parameter, counts as zeros and gets the sum too. A parameter without a gradient on any rank stays
    /// without. Buffers are left alone.
    ///
    /// It is a sum, never a mean: divide each loss by what it counts over all ranks before the backward pass.
    ///
    /// # Errors
    /// Those of [`Group::all_reduce`]; a gradient that is sparse or not on the CPU, with the name of its parameter.
    pub fn sum_gradients(&mut self, parameters: &Parameters) -> Result<()> {
        const CALL: &str = "sum_gradients";
        let named: Vec<(&str, &Tensor)> = parameters.without_buffers().collect();
        let own: Vec<u8> = named.iter().map(|(_, tensor)| state(&tensor.grad())).collect();
        let states = self.all_gather_bytes(&own)?;
        // Every rank finds this, so none continues alone.
        if let Some(rank) = states.iter().position(|states| states.len() != own.len()) {
            let text = format!("rank {rank} has {} parameters, this one {}", states[rank].len(), own.len());
            return Err(self.ranks.error(CALL, text));
        }
        let mut used = Vec::new();
        for (index, (name, tensor)) in named.iter().enumerate() {
            let worst = states.iter().map(|states| states[index]).max().unwrap_or(ABSENT);
            if worst == UNSUITABLE {
                let text = format!(
                    "the gradient of `{name}` is sparse or not on the CPU, which is not supported yet: make it dense"
                );
                return Err(self.ranks.error(CALL, text));
            }
            if worst == DENSE {
                let gradient = tensor.grad();
                if !gradient.defined() {
                    set_gradient(tensor, &tensor.f_detach()?.f_zeros_like()?)?;
                }
                used.push(tensor.grad());
            }
        }
        // In the same order and the same messages each time: where an element lies decides the order of its sum.
        let mut pending = Vec::new();
        for message in messages(&used) {
            pending.push(self.start(CALL, Exchange::Sum, message)?);
        }
        pending.into_iter().try_for_each(|pending| self.wait(pending))
    }
}

fn share(micro_batches: usize, rank: usize, world_size: usize) -> Range<usize> {
    let begin = |rank: usize| micro_batches * rank / world_size;
    begin(rank)..begin(rank + 1)
}

fn state(gradient: &Tensor) -> u8 {
    match gradient.defined() {
        false => ABSENT,
        true if gradient.is_sparse() || gradient.device() != Device::Cpu => UNSUITABLE,
        true => DENSE,
    }
}

/// Runs of gradients, each of at most [`MESSAGE`] bytes or a single one.
fn messages(gradients: &[Tensor]) -> Vec<&[Tensor]> {
    let bytes = |tensor: &Tensor| tensor.numel() * tensor.kind().elt_size_in_bytes();
    let (mut messages, mut begin, mut size) = (Vec::new(), 0, 0);
    for (index, gradient) in gradients.iter().enumerate() {
        if size > 0 && size + bytes(gradient) > MESSAGE {
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
    use tch::Kind;

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
        let lengths: Vec<usize> = messages(&gradients).iter().map(|message| message.len()).collect();
        assert_eq!(lengths, [1, 1, 2, 2]);
        assert!(messages(&[]).is_empty());
    }
}
