//! The sum of gradients over all ranks in a fixed tree: see [`tree`](super::tree).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::gradients::{ABSENT, CALL, MESSAGE, SPARSE, kind, messages, state};
use super::group::Group;
use super::tree::{Node, Tree, push, sum, total};
use crate::error::{Error, Result};
use crate::native::ffi::{Exchange, set_gradient};

/// What a rank tells of its parts before it sends them.
#[derive(Serialize, Deserialize)]
struct Parts {
    /// Level and index of each.
    nodes: Vec<(u32, usize)>,
    /// Of each part, what it knows of each gradient.
    states: Vec<Vec<u8>>,
}

impl Parts {
    /// What all parts of a rank know of a gradient.
    fn state(&self, parameter: usize) -> u8 {
        let states = || self.states.iter().map(|part| part[parameter]);
        // A dense and a sparse gradient add up to a dense one.
        states()
            .filter(|state| *state != SPARSE)
            .max()
            .filter(|state| *state != ABSENT)
            .or(states().max())
            .unwrap_or(ABSENT)
    }
}

impl Group {
    /// Gives every parameter the sum of its gradients over all ranks: the same bits whatever the number of ranks. Each
    /// rank sends its parts to all others, which is more than [`Group::sum_gradients`] sends.
    ///
    /// # Errors
    /// As for [`Group::sum_gradients`].
    pub(crate) fn sum_exactly(&mut self, mut tree: Tree) -> Result<()> {
        let all = self.tell_of_parts(&tree)?;
        let most = all.iter().map(|parts| parts.nodes.len()).max().unwrap_or(0);
        let (mut dense, mut sparse) = (Vec::new(), Vec::new());
        for (index, (name, _)) in tree.parameters.iter().enumerate() {
            let of_ranks: Vec<u8> = all.iter().map(|parts| parts.state(index)).collect();
            match kind(&of_ranks) {
                Ok(ABSENT) => {}
                Ok(SPARSE) => sparse.push(index),
                Ok(_) => dense.push(index),
                Err(text) => return Err(self.ranks.error(CALL, format!("the gradient of `{name}` {text}"))),
            }
        }
        let shapes: Vec<Tensor> =
            dense.iter().map(|index| tree.parameters[*index].1.shallow_clone()).collect();
        let mut dense = dense.into_iter();
        // Every rank has this much of all others at a time.
        for message in messages(&shapes, (MESSAGE / self.world_size()).max(1)) {
            let indices: Vec<usize> = dense.by_ref().take(message.len()).collect();
            self.sum_dense(&mut tree, &indices, (&all, most))?;
        }
        for index in sparse {
            self.sum_sparse(&mut tree, index, (&all, most))?;
        }
        Ok(())
    }

    /// The parts of every rank.
    fn tell_of_parts(&mut self, tree: &Tree) -> Result<Vec<Parts>> {
        let mut own = Parts { nodes: Vec::new(), states: Vec::new() };
        for Node { level, index, value } in &tree.parts {
            own.nodes.push((*level, *index));
            let states = value.iter().map(|gradient| gradient.as_ref().map_or(Ok(ABSENT), state));
            own.states.push(states.collect::<Result<_>>()?);
        }
        let told = serde_json::to_vec(&own).map_err(Error::other)?;
        let all = self.gather_for(CALL, &told)?;
        let all = all.iter().map(|parts| serde_json::from_slice(parts).map_err(Error::other));
        let all: Vec<Parts> = all.collect::<Result<_>>()?;
        let count = tree.parameters.len();
        for (rank, parts) in all.iter().enumerate() {
            if let Some(other) = parts.states.iter().find(|part| part.len() != count) {
                let text = format!("rank {rank} has {} parameters, this one {count}", other.len());
                return Err(self.ranks.error(CALL, text));
            }
        }
        Ok(all)
    }

    /// Sums dense gradients: in turn the first parts of all ranks, the second, and so on, with zeros where a rank has none.
    fn sum_dense(
        &mut self,
        tree: &mut Tree,
        indices: &[usize],
        (all, most): (&[Parts], usize),
    ) -> Result<()> {
        let mut gathered = Vec::new();
        for part in 0..most {
            let mut own = Vec::new();
            for index in indices {
                let value = tree.parts.get_mut(part).and_then(|node| node.value[*index].take());
                own.push(match value {
                    Some(value) if value.is_sparse() => value.f_to_dense(None, false)?,
                    Some(value) => value.f_contiguous()?,
                    None => tree.parameters[*index].1.f_detach()?.f_zeros_like()?.f_contiguous()?,
                });
            }
            let pending = self.start(CALL, Exchange::Gather, &own)?;
            gathered.push(self.finish(pending)?);
        }
        for (place, index) in indices.iter().enumerate() {
            let of_part = |rank: usize, part: usize| {
                let known = all[rank].states[part][*index] != ABSENT;
                known.then(|| gathered[part][rank * indices.len() + place].shallow_clone())
            };
            let Some(sum) = total_of(all, of_part)? else { continue };
            let parameter = &tree.parameters[*index].1;
            // Laid out as the backward pass does it, whatever the number of ranks.
            let mut gradient = parameter.f_detach()?.f_empty_like()?;
            gradient.f_copy_(&sum)?;
            set_gradient(parameter, &gradient)?;
        }
        Ok(())
    }

    fn sum_sparse(&mut self, tree: &mut Tree, index: usize, (all, most): (&[Parts], usize)) -> Result<()> {
        let parameter = tree.parameters[index].1.shallow_clone();
        let mut gathered = Vec::new();
        for part in 0..most {
            let own = tree.parts.get_mut(part).and_then(|node| node.value[index].take());
            gathered.push(self.gather_rows(&parameter, own.as_ref())?);
        }
        let mut made = Vec::new();
        for of_ranks in &gathered {
            let sparse = of_ranks.iter().map(|(rows, values)| {
                let whole = Tensor::f_sparse_coo_tensor_indices_size(
                    rows,
                    values,
                    parameter.size(),
                    (parameter.kind(), parameter.device()),
                    false,
                );
                Ok(whole?.f_coalesce()?)
            });
            made.push(sparse.collect::<Result<Vec<_>>>()?);
        }
        let of_part = |rank: usize, part: usize| {
            (all[rank].states[part][index] != ABSENT).then(|| made[part][rank].shallow_clone())
        };
        match total_of(all, of_part)? {
            Some(sum) => set_gradient(&parameter, &sum),
            None => Ok(()),
        }
    }
}

/// The sum of one gradient over the parts of all ranks, in the order of the tree.
fn total_of(all: &[Parts], of_part: impl Fn(usize, usize) -> Option<Tensor>) -> Result<Option<Tensor>> {
    let mut nodes = Vec::new();
    for (rank, parts) in all.iter().enumerate() {
        for (part, (level, index)) in parts.nodes.iter().enumerate() {
            let node = Node { level: *level, index: *index, value: of_part(rank, part) };
            push(&mut nodes, node, &mut sum)?;
        }
    }
    Ok(total(nodes, &mut sum)?.flatten())
}
